//! Pushes messages of all kinds, and notes what it was told of each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use redeliver::{Durability, Error, Message, MessageId, Pushed, Raw, Retry};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, Point, hash};
use crate::heartbeat::now_ms;
use crate::history::{Answer, Event};

/// Tasks that push, each a burst at a time, of one message or up to 64: calls carry as many.
const TASKS: u64 = 64;
const MAX_DOUBLINGS: u32 = 6;
/// A call of the library gives up after 10 s.
const LAST_PUSHES: Duration = Duration::from_secs(20);
const MAX_PAYLOAD: usize = 2048;
const MAX_DELAY_MS: u64 = 2_000;
/// So few that pushes often meet a living message with their key.
const KEYS: u32 = 200;

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) async fn run(agent: Agent, end: impl Future<Output = ()>) -> Result<()> {
    let agent = Arc::new(agent);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let seed = agent.args.seed.wrapping_mul(TASKS).wrapping_add(task);
        let rng = fastrand::Rng::with_seed(seed);
        tasks.spawn(push_until(Arc::clone(&agent), rng, stop.clone()));
    }
    end.await;
    stop.cancel();
    let last = async { while tasks.join_next().await.is_some() {} };
    timeout(LAST_PUSHES, last).await.ok();
    Ok(())
}

async fn push_until(
    agent: Arc<Agent>,
    mut rng: fastrand::Rng,
    stop: CancellationToken,
) -> Result<()> {
    let pause = Duration::from_secs(TASKS) / u32::try_from(agent.args.rate.max(1))?;
    loop {
        let burst = 1 << rng.u32(..=MAX_DOUBLINGS);
        let pause = pause.mul_f64(2.0 * rng.f64()) * burst;
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return Ok(());
        }
        try_join_all((0..burst).map(|_| push(&agent, rng.fork()))).await?;
    }
}

async fn push(agent: &Agent, mut rng: fastrand::Rng) -> Result<()> {
    let longest = if rng.u8(..) < 16 { MAX_PAYLOAD } else { MAX_PAYLOAD / 16 };
    let mut payload = vec![0; rng.usize(..=longest)];
    rng.fill(&mut payload);
    let id = MessageId::generate();
    let delay = if rng.u8(..) < 100 { rng.u64(1..=MAX_DELAY_MS) } else { 0 };
    let max = [3, 5, 8][rng.usize(..3)];
    let hash = hash(&payload);
    let message = Message::new(Raw(payload)).id(id).delay(Duration::from_millis(delay));
    let mut message = message.retry(Retry::max_attempts(max));
    if rng.u8(..) < 12 {
        message = message.key(rng.u32(..KEYS).to_string());
    }
    let replicated = agent.args.replicas > 0 && rng.bool();
    if replicated {
        message = message.durability(Durability::Replicated(agent.args.replicas));
    }
    let at = now_ms();
    agent.log.note(&Event::Push { id, at, delay, max, hash })?;
    agent.pass(Point::BeforePush);
    agent.pass_soon(Point::PushSent);
    let pushed = agent.queue.push(message).await;
    agent.pass(Point::PushAnswered);
    let answer = match pushed {
        Ok(Pushed::Ready(_) | Pushed::Scheduled(_)) if replicated => Answer::Proven,
        Ok(Pushed::Ready(_) | Pushed::Scheduled(_)) => Answer::Done,
        Ok(Pushed::Unproven { id: living, .. }) if living == id => Answer::Unproven,
        // After a first try whose answer was lost, another message may have the key by now.
        Ok(Pushed::Duplicate { .. } | Pushed::Unproven { .. }) => Answer::Duplicate,
        Err(Error::Ambiguous { .. }) => Answer::Unknown,
        Err(_) => Answer::Refused,
    };
    let by = now_ms() + 1;
    agent.log.note(&Event::Pushed { id, by, answer })?;
    Ok(())
}
