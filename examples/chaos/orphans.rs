//! What a killed process held, and when its leases end: told by the server itself.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use redeliver::{MessageId, Queue, Raw, State};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::heartbeat::by_host;
use crate::history::{Event, Log};

/// What a process had sent before it was killed arrives within this time.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// More than a process notes while it holds a delivery.
const TAIL: u64 = 2 * 1024 * 1024;
const START: &[u8] = br#"{"start":"#;
const PAGE: u32 = 1_000;

/// Notes each delivery that the process with this history had in its hands.
pub(crate) async fn note(queue: &Queue<Raw>, history: &Path, log: &Log) -> Result<()> {
    sleep(LAST_WORDS).await;
    let history = history.to_owned();
    let started = spawn_blocking(move || started(&history)).await??;
    if started.is_empty() {
        return Ok(());
    }
    let mut next = Some(0);
    while let Some(start) = next {
        let page = queue.peek(State::Pending, start, PAGE).await?;
        for pending in &page.messages {
            if started.get(&pending.id) == Some(&pending.attempt)
                && let Some(deadline) = pending.at_ms
            {
                let (id, attempt, deadline) = (pending.id, pending.attempt, by_host(deadline));
                log.note(&Event::Orphan { id, attempt, deadline })?;
            }
        }
        next = page.next;
    }
    Ok(())
}

/// The last attempt of each message that a process has lately started on.
fn started(history: &Path) -> Result<HashMap<MessageId, u64>> {
    let mut file = File::open(history)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let lines = tail.split(|byte| *byte == b'\n').filter(|line| line.starts_with(START));
    let events = lines.filter_map(|line| serde_json::from_slice(line).ok());
    let starts = events.filter_map(|event| match event {
        Event::Start { id, attempt, .. } => Some((id, attempt)),
        _ => None,
    });
    Ok(starts.collect())
}
