//! Whether a process got the processor: a thread that is due every few milliseconds.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::history::lateness::STEP_MS;
use crate::history::trouble::TROUBLES;
use crate::history::{Log, Trouble};
use crate::producer::millis;

const EVERY: Duration = Duration::from_millis(10);
/// A takeover passes from thread to thread about eight times within 100 ms: poller, server, worker,
/// server, and the proxy between them. Each may be so late without a note.
pub(crate) const TOLERATED: Duration = Duration::from_millis(10);

#[expect(clippy::disallowed_methods, reason = "the server runs on this host: it is its clock")]
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// What the host's clock showed when a server's showed this, just now or so: that of a server is right,
/// or off by `STEP_MS`.
pub(crate) fn by_host(server_ms: u64) -> u64 {
    let step = STEP_MS.cast_signed();
    let off = server_ms.cast_signed() - now_ms().cast_signed();
    server_ms.saturating_add_signed(-step * (off + step / 2).div_euclid(step))
}

/// Notes until the process ends each time at which it was denied the processor.
pub(crate) fn start(history: &Path) -> Result<()> {
    let log = Log::open(&history.with_extension(TROUBLES))?;
    thread::Builder::new().name("heartbeat".into()).spawn(move || {
        loop {
            let due = Instant::now() + EVERY;
            thread::sleep(EVERY);
            note(&log, due.elapsed());
        }
    })?;
    Ok(())
}

/// The same for the tasks of a runtime: one that blocks keeps others waiting as well.
pub(crate) async fn of_tasks(history: &Path) -> Result<()> {
    let log = Log::open(&history.with_extension(TROUBLES))?;
    loop {
        let due = tokio::time::Instant::now() + EVERY;
        tokio::time::sleep_until(due).await;
        note(&log, due.elapsed());
    }
}

/// Notes that something has just been done so much later than it was due.
pub(crate) fn note(log: &Log, late: Duration) {
    if late > TOLERATED {
        let until = now_ms();
        log.note(&Trouble::Starved { from: until.saturating_sub(millis(late)), until }).ok();
    }
}
