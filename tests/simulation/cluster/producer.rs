//! Pushes messages of all kinds, and notes what it was told of each.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use redeliver::{Backoff, Error, Message, MessageId, Pushed, Queue, Raw, Retry};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::life::{Life, Point};
use super::notes::{Turn, hash};
use crate::history::{Answer, Event};

/// Between two bursts, on average.
const PAUSE_MS: u64 = 4_000;
const MAX_BURST: u32 = 4;
const MAX_DELAY_MS: u64 = 4_000;
/// So few that pushes meet a living message with their key.
const KEYS: u32 = 3;
/// A call of the library gives up after 10 s.
const LAST_PUSHES: Duration = Duration::from_secs(20);

pub(crate) async fn run(life: Arc<Life>, queue: Queue<Raw>, mut rng: Rng) {
    let mut pushes = JoinSet::new();
    loop {
        let pause = Duration::from_millis(rng.u64(..2 * PAUSE_MS));
        if life.retire.run_until_cancelled(sleep(pause)).await.is_none() {
            break;
        }
        for _ in 0..rng.u32(1..=MAX_BURST) {
            pushes.spawn(push(Arc::clone(&life), queue.clone(), rng.fork()));
        }
        while pushes.try_join_next().is_some() {}
    }
    timeout(LAST_PUSHES, pushes.join_all()).await.ok();
}

/// Ids as the library makes them, of the server's time and of the seed's randomness.
fn id(life: &Life, rng: &mut Rng) -> Option<MessageId> {
    let id = ulid::Ulid::from_parts(life.notes.now_ms(), rng.u128(..));
    id.to_string().parse().ok()
}

async fn push(life: Arc<Life>, queue: Queue<Raw>, mut rng: Rng) {
    let Some(id) = id(&life, &mut rng) else { return };
    let mut payload = vec![0; rng.usize(..64)];
    rng.fill(&mut payload);
    let delay = if rng.u8(..10) < 3 { rng.u64(1..=MAX_DELAY_MS) } else { 0 };
    let max = [0, 2, 3, 5][rng.usize(..4)];
    let hash = hash(&payload);
    let message = Message::new(Raw(payload)).id(id).delay(Duration::from_millis(delay));
    let mut message = message.retry(if rng.bool() {
        Retry::max_attempts(max)
    } else {
        Backoff::exponential(Duration::from_millis(100)).full_jitter().max_attempts(max)
    });
    if rng.u8(..10) == 0 {
        message = message.key(rng.u32(..KEYS).to_string());
    }
    let at = life.notes.now_ms();
    life.note(Event::Push { id, at, delay, max, hash });
    let turn = (delay == 0 && life.is_alive()).then(|| {
        let mut told = life.notes.told();
        let sent = told.events.len() as u64;
        told.turns.push(Turn { id, sent, answered: None });
        told.turns.len() - 1
    });
    life.pass(Point::BeforePush);
    let pushed = queue.push(message).await;
    life.pass(Point::PushAnswered);
    let answer = match pushed {
        Ok(Pushed::Ready(_) | Pushed::Scheduled(_) | Pushed::Unproven { .. }) => Answer::Done,
        // After a first try whose answer was lost, another message may have the key by now.
        Ok(Pushed::Duplicate { .. }) => Answer::Duplicate,
        Err(Error::Ambiguous { .. }) => Answer::Unknown,
        Err(_) => Answer::Refused,
    };
    life.note(Event::Pushed { id, by: life.notes.now_ms(), answer });
    if let Some(turn) = turn
        && answer == Answer::Done
        && life.is_alive()
    {
        let mut told = life.notes.told();
        told.turns[turn].answered = Some(told.events.len() as u64);
    }
}
