//! The algorithms, each as its users write it.

use std::pin::Pin;
use std::time::Duration;

use redeliver::{Message, Queue, Raw};
use redis::aio::MultiplexedConnection;

use crate::fixture::TestServer;

/// Messages that the batching algorithms take at a time.
const BATCH: usize = 100;
const WAITING: &str = "{c}waiting";
const READY: &str = "{c}ready";
const LOCK: &str = "{c}lock";
const LOCK_MS: usize = 1000;
const QUEUE: &str = "comparison";

const ONE_SCRIPT: &str = "
local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not id then return 0 end
redis.call('ZREM', KEYS[1], id)
redis.call('LPUSH', KEYS[2], id)
return 1";

#[derive(Clone, Copy)]
pub(crate) enum Algorithm {
    /// The article: pop a stamped message from a list, look at its time, push it on or back.
    ListLoop,
    /// Read what is due, remove it, push it; the answer of the removal is not looked at.
    Naive,
    /// The same, but only whoever removed an entry pushes it.
    NaiveChecked,
    /// One atomic script for each message.
    ScriptPerMessage,
    /// A lock with an expiry around: read, push, remove.
    LockThenMove,
    /// `redeliver`.
    Redeliver,
}

pub(crate) const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::ListLoop,
    Algorithm::Naive,
    Algorithm::NaiveChecked,
    Algorithm::ScriptPerMessage,
    Algorithm::LockThenMove,
    Algorithm::Redeliver,
];

type Poller = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Algorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ListLoop => "list loop (article)",
            Self::Naive => "range, remove, push",
            Self::NaiveChecked => "range, remove?, push",
            Self::ScriptPerMessage => "script per message",
            Self::LockThenMove => "lock, push, remove",
            Self::Redeliver => "redeliver",
        }
    }

    /// Stores the messages, all due.
    pub(crate) async fn load(self, server: &TestServer, messages: usize) {
        if let Self::Redeliver = self {
            let queue: Queue<Raw> = Queue::connect(&server.url(), QUEUE).await.unwrap();
            let due = || Message::new(Raw::from("x")).delay(Duration::from_millis(1));
            queue.push_all((0..messages).map(|_| due())).await.unwrap();
            return;
        }
        let mut connection = server.client().get_multiplexed_async_connection().await.unwrap();
        for first in (0..messages).step_by(1000) {
            let mut pipeline = redis::Pipeline::new();
            for id in first..(first + 1000).min(messages) {
                match self {
                    Self::ListLoop => pipeline.cmd("RPUSH").arg(WAITING).arg(id).ignore(),
                    _ => pipeline.cmd("ZADD").arg(WAITING).arg(1).arg(id).ignore(),
                };
            }
            pipeline.exec_async(&mut connection).await.unwrap();
        }
    }

    /// A poller that moves until it is killed.
    pub(crate) fn poll(self, url: String, mut connection: MultiplexedConnection) -> Poller {
        Box::pin(async move {
            let queue: Option<Queue<Raw>> = match self {
                Self::Redeliver => Queue::connect(&url, QUEUE).await.ok(),
                _ => None,
            };
            loop {
                let moved = match self {
                    Self::ListLoop => list_loop(&mut connection).await,
                    Self::Naive => range(&mut connection, false).await,
                    Self::NaiveChecked => range(&mut connection, true).await,
                    Self::ScriptPerMessage => script(&mut connection).await,
                    Self::LockThenMove => locked(&mut connection).await,
                    Self::Redeliver => match &queue {
                        Some(queue) => redeliver(queue).await,
                        None => false,
                    },
                };
                if !moved {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        })
    }

    pub(crate) async fn waiting(self, connection: &mut MultiplexedConnection) -> usize {
        let (command, key) = match self {
            Self::ListLoop => ("LLEN", WAITING.to_owned()),
            Self::Redeliver => ("ZCARD", format!("rd:{{{QUEUE}.0}}:scheduled")),
            _ => ("ZCARD", WAITING.to_owned()),
        };
        redis::cmd(command).arg(key).query_async(connection).await.unwrap()
    }

    pub(crate) async fn ready(self, connection: &mut MultiplexedConnection) -> Vec<String> {
        let key = match self {
            Self::Redeliver => format!("rd:{{{QUEUE}.0}}:ready"),
            _ => READY.to_owned(),
        };
        redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query_async(connection).await.unwrap()
    }
}

/// A killed task must not be mistaken for a broken one: errors just mean "nothing moved".
async fn list_loop(connection: &mut MultiplexedConnection) -> bool {
    let popped = redis::cmd("LPOP").arg(WAITING).query_async::<Option<String>>(connection).await;
    let Ok(Some(id)) = popped else { return false };
    redis::cmd("RPUSH").arg(READY).arg(id).exec_async(connection).await.is_ok()
}

async fn due(connection: &mut MultiplexedConnection) -> Vec<String> {
    let mut range = redis::cmd("ZRANGEBYSCORE");
    range.arg(WAITING).arg("-inf").arg(2).arg("LIMIT").arg(0).arg(BATCH);
    range.query_async(connection).await.unwrap_or_default()
}

async fn range(connection: &mut MultiplexedConnection, checked: bool) -> bool {
    let ids = due(connection).await;
    for id in &ids {
        let removed = redis::cmd("ZREM").arg(WAITING).arg(id).query_async::<i64>(connection).await;
        if !checked || removed.is_ok_and(|removed| removed == 1) {
            redis::cmd("LPUSH").arg(READY).arg(id).exec_async(connection).await.ok();
        }
    }
    !ids.is_empty()
}

async fn script(connection: &mut MultiplexedConnection) -> bool {
    let mut call = redis::cmd("EVAL");
    call.arg(ONE_SCRIPT).arg(2).arg(WAITING).arg(READY).arg(2);
    call.query_async::<i64>(connection).await.is_ok_and(|moved| moved == 1)
}

async fn locked(connection: &mut MultiplexedConnection) -> bool {
    let mut lock = redis::cmd("SET");
    lock.arg(LOCK).arg(1).arg("NX").arg("PX").arg(LOCK_MS);
    if !matches!(lock.query_async::<Option<String>>(connection).await, Ok(Some(_))) {
        return false;
    }
    let ids = due(connection).await;
    if !ids.is_empty() {
        redis::cmd("LPUSH").arg(READY).arg(&ids).exec_async(connection).await.ok();
        redis::cmd("ZREM").arg(WAITING).arg(&ids).exec_async(connection).await.ok();
    }
    redis::cmd("DEL").arg(LOCK).exec_async(connection).await.ok();
    !ids.is_empty()
}

async fn redeliver(queue: &Queue<Raw>) -> bool {
    queue.redeliver(BATCH as u32).await.is_ok_and(|moved| moved.promoted > 0)
}
