//! What a run has shown.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use redeliver::{Queue, Raw, State};
use tokio::time::timeout;

use super::notes::{Told, Turn, hash};
use super::server::Server;
use super::{Outcome, World};
use crate::history::Event;
use crate::history::check::{Stories, Summary};
use crate::history::trouble::Troubles;

const PAGE: u32 = 1_000;
/// The server is up, and nobody else calls.
const LAST_LOOK: Duration = Duration::from_secs(30);

pub(crate) async fn outcome(world: &Rc<World>, seed: u64, drained: bool) -> Outcome {
    let notes = &world.notes;
    // A run that was broken off has failed already, and its history is not at its end.
    let whole = !world.failed.is_cancelled();
    if whole {
        if !drained {
            notes.fail(format!("not drained: {:?} are left", world.outstanding()));
        }
        match timeout(LAST_LOOK, look(world)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => notes.fail(format!("the last look failed: {error}")),
            Err(_) => notes.fail("the last look was not answered".to_owned()),
        }
    }
    let hash = notes.hash();
    let mut told = std::mem::take(&mut *notes.told());
    let mut summary = Summary::new();
    if whole {
        for event in &mut told.events {
            if let Event::Pushed { id, by, .. } = event {
                *by = world.pushed.borrow().get(id).copied().unwrap_or(0).max(*by);
            }
        }
        judge(&told, &mut summary);
        out_of_order(&mut told, &world.server.file());
    }
    let shown = summary.shown.iter().map(|(verdict, id)| format!("{verdict:?}: {id}"));
    told.failures.extend(shown);
    Outcome {
        seed,
        failures: told.failures,
        verdicts: summary.verdicts,
        faults: told.faults,
        messages: summary.messages,
        steps: world.steps.get(),
        states: world.states.take(),
        virtual_time: notes.since().elapsed(),
        hash,
    }
}

/// Nothing may be damaged; what rests in the dead letters belongs to the history.
async fn look(world: &Rc<World>) -> redeliver::Result<()> {
    let queue = world.queue()?;
    let report = queue.check(|_| {}).await?;
    if !report.is_clean() {
        world.notes.fail(format!("damage: {:?}", report.damage));
    }
    note_dead(world, &queue).await
}

async fn note_dead(world: &World, queue: &Queue<Raw>) -> redeliver::Result<()> {
    let page = queue.peek(State::Dead, 0, PAGE).await?;
    for dead in &page.messages {
        world.notes.event(Event::Dead {
            id: dead.id,
            deliveries: dead.attempt - 1,
            failures: dead.failures,
            max: dead.max_attempts,
            hash: hash(&dead.payload),
        });
    }
    Ok(())
}

fn judge(told: &Told, summary: &mut Summary) {
    let (mut stories, troubles) = (Stories::default(), Troubles::of(told.troubles.iter().cloned()));
    for event in &told.events {
        stories.note(event);
    }
    stories.judge(&troubles, summary);
    summary.close(&troubles);
}

/// What was ready before another was pushed is handed out before it, as long as the server keeps its
/// writes: its file says in which order they first came to be pending.
fn out_of_order(told: &mut Told, file: &[u8]) {
    if told.events.iter().any(|event| matches!(event, Event::Undone { .. })) {
        return;
    }
    let mut handed_out = HashMap::new();
    for word in pending(file) {
        let next = handed_out.len();
        handed_out.entry(word).or_insert(next);
    }
    let turns = told.turns.iter().filter_map(|turn| {
        let turn_of = handed_out.get(turn.id.to_string().as_bytes())?;
        Some((turn, turn_of))
    });
    let turns: Vec<_> = turns.collect();
    let mut failures = Vec::new();
    for (one, one_turn) in &turns {
        let before = |next: &Turn| one.answered.is_some_and(|answered| answered <= next.sent);
        for (next, _) in turns.iter().filter(|(next, turn)| before(next) && turn < one_turn) {
            failures.push(format!("out of order: {} before {}", next.id, one.id));
        }
    }
    told.failures.append(&mut failures);
}

/// The words of all commands of the file that make messages pending.
fn pending(file: &[u8]) -> Vec<&[u8]> {
    let key = Server::key("pending");
    let mut pending = Vec::new();
    let mut rest = file;
    while let Some(words) = command(&mut rest) {
        if words.len() > 2 && words[0] == b"ZADD" && words[1] == key.as_bytes() {
            pending.extend(&words[2..]);
        }
    }
    pending
}

/// Takes the next command off, if there is a whole one.
fn command<'a>(rest: &mut &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let words = number(rest, b'*')?;
    let mut word = || {
        let length = number(rest, b'$')?;
        let (word, left) = rest.split_at_checked(length)?;
        *rest = left.strip_prefix(b"\r\n")?;
        Some(word)
    };
    (0..words).map(|_| word()).collect()
}

fn number(rest: &mut &[u8], mark: u8) -> Option<usize> {
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    let (line, left) = rest.split_at(end);
    *rest = left.strip_prefix(b"\r\n")?;
    std::str::from_utf8(line.strip_prefix(&[mark])?).ok()?.parse().ok()
}

impl Outcome {
    pub(crate) fn passes(&self) -> bool {
        self.failures.is_empty()
    }
}
