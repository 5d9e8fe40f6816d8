//! Where `top` gets its news: bounded looks at the server, one a second, and what was asked for.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use redeliver::{Cancelled, Queue, QueueName, Raw, Result, Server};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::app::{Act, Looked, MessageLine, Messages, News, PAGE, Wanted};
use crate::counts::is_outage;
use crate::message::{cut, payload_text, visible};
use crate::msg::due::due_now;

const TICK: Duration = Duration::from_secs(1);
/// New queues are rare.
const FIND_EVERY: Duration = Duration::from_secs(5);
/// Queues of one tick; of more, each tick looks at the next ones.
const MAX_LOOKS: usize = 64;
/// Calls in flight.
const AT_A_TIME: usize = 8;
const MINUTE: Duration = Duration::from_secs(60);

/// Looks again and again until nobody listens.
pub(super) async fn run(
    server: Server,
    mut wanted: watch::Receiver<Option<Wanted>>,
    news: mpsc::Sender<News>,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = Round::default();
    loop {
        let is_tick = tokio::select! {
            _ = ticks.tick() => true,
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                false
            }
        };
        let asked = wanted.borrow_and_update().clone();
        if let Err(error) = tell(&server, is_tick.then_some(&mut round), asked, &news).await {
            drop(news.send(News::Outage(error.to_string())).await);
        }
        if news.is_closed() {
            return;
        }
    }
}

async fn tell(
    server: &Server,
    round: Option<&mut Round>,
    asked: Option<Wanted>,
    news: &mpsc::Sender<News>,
) -> Result<()> {
    if let Some(round) = round {
        let looked = round.look(server).await?;
        drop(news.send(News::Queues(round.names.clone(), looked)).await);
    }
    if let Some(asked) = asked {
        drop(news.send(News::Messages(messages(server, asked).await?)).await);
    }
    Ok(())
}

/// All queues, and whose turn it is.
#[derive(Debug, Default)]
struct Round {
    names: Vec<QueueName>,
    found: Option<Instant>,
    next: usize,
}

impl Round {
    async fn look(&mut self, server: &Server) -> Result<Vec<(QueueName, Looked)>> {
        if self.found.is_none_or(|found| found.elapsed() >= FIND_EVERY) {
            self.names = server.queues().await?;
            self.found = Some(Instant::now());
        }
        let most = self.names.len().min(MAX_LOOKS);
        let turn = self.names.iter().cycle().skip(self.next).take(most);
        let turn: Vec<_> =
            turn.map(|name| server.queue::<Raw>(name.as_str())).collect::<Result<_>>()?;
        let looks = turn.into_iter().map(|queue| async move {
            let looked = match queue.counts().await {
                Err(error) if is_outage(&error) => return Err(error),
                // A damaged queue hides no other.
                looked => looked.map_err(|error| visible(&error.to_string())),
            };
            Ok((queue.name().clone(), looked))
        });
        let looked: Vec<Result<_>> =
            stream::iter(looks).buffer_unordered(AT_A_TIME).collect().await;
        self.next = (self.next + looked.len()) % self.names.len().max(1);
        looked.into_iter().collect()
    }
}

async fn messages(server: &Server, wanted: Wanted) -> Result<Messages> {
    let queue = server.queue::<Raw>(wanted.queue.as_str())?;
    let page = queue.peek(wanted.state, wanted.start, PAGE).await?;
    let forecast = queue.forecast(&[MINUTE]).await?;
    let lines = page.messages.iter().map(|message| MessageLine {
        id: message.id,
        at_ms: message.at_ms,
        attempt: message.attempt,
        failures: message.failures,
        payload: cut(&payload_text(&message.payload)),
        error: message
            .history
            .first()
            .map(|failure| cut(&visible(&failure.error)))
            .unwrap_or_default(),
    });
    Ok(Messages { lines: lines.collect(), next: page.next, wanted, forecast })
}

/// Does what was confirmed, and tells what became of it.
pub(super) async fn act(server: Server, act: Act) -> News {
    News::Told(done(&server, &act).await.unwrap_or_else(|error| format!("{error}")))
}

async fn done(server: &Server, act: &Act) -> Result<String> {
    let queue = |name: &QueueName| -> Result<Queue<Raw>> { server.queue(name.as_str()) };
    Ok(match act {
        Act::Pause(name) => {
            queue(name)?.pause().await?;
            format!("{name} paused")
        }
        Act::Resume(name) => {
            queue(name)?.resume().await?;
            format!("{name} resumed")
        }
        Act::Cancel(name, id) => {
            let was_there = queue(name)?.cancel(&[*id]).await? == [Cancelled::Done];
            let outcome = if was_there { "removed" } else { "is not there any more" };
            format!("{id} {outcome}")
        }
        Act::Retry(name, id) => {
            format!("{id}: {}", due_now(&queue(name)?, &[*id]).await?.in_words())
        }
    })
}
