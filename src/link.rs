//! One connection that many callers share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::Instant;

use crate::connect::{Connector, RESPONSE_TIMEOUT};
use crate::error::Result;
use crate::fault::Fault;

/// A link that answers nothing this often in a row is made anew.
const MAX_TIMEOUTS: u32 = 3;

/// One shared connection that is made anew when it is of no more use.
#[derive(Debug)]
pub(crate) struct Link {
    connector: Connector,
    live: RwLock<Option<Live>>,
    /// Held while a connection is made; remembers when that failed last, and how.
    opening: tokio::sync::Mutex<Option<(Instant, Fault)>>,
    epochs: AtomicU64,
    timeouts: AtomicU32,
}

#[derive(Debug, Clone)]
struct Live {
    connection: MultiplexedConnection,
    epoch: u64,
    notes: Arc<Notes>,
}

/// What was found out about a connection; the next one may lead to another server.
#[derive(Debug, Default)]
struct Notes {
    held: AtomicBool,
    complained: AtomicBool,
}

/// One connection of a link, for commands that must not be spread over two.
#[derive(Debug)]
pub(crate) struct Held {
    link: Arc<Link>,
    live: Live,
}

impl Held {
    /// Sends all in one go; each has its own answer, which may be an error of the server. The server
    /// may take so much longer for them than for short commands.
    pub(crate) async fn send_all(
        &self,
        commands: &Pipeline,
        patience: Duration,
    ) -> Result<Vec<Value>, Fault> {
        let mut connection = self.live.connection.clone();
        connection.set_response_timeout(RESPONSE_TIMEOUT + patience);
        let sent = connection.send_packed_commands(commands, 0, commands.len()).await;
        let fault = match &sent {
            Ok(values) => values.iter().find_map(|value| match value {
                Value::ServerError(error) => Some(Fault::of(&error.clone().into())),
                _ => None,
            }),
            Err(error) => Some(Fault::of(error)),
        };
        match &fault {
            Some(fault) if self.link.is_spoilt_by(fault) => self.leave(),
            Some(_) => {}
            None => self.link.timeouts.store(0, Ordering::Relaxed),
        }
        sent.map_err(|error| Fault::of(&error))
    }

    /// Whoever comes next gets another connection.
    pub(crate) fn leave(&self) {
        self.link.drop_epoch(self.live.epoch);
    }

    /// Whether nobody has asked this of the connection before.
    pub(crate) fn is_new(&self) -> bool {
        !self.live.notes.held.swap(true, Ordering::Relaxed)
    }

    /// Whether nothing was said about this connection yet.
    pub(crate) fn is_first_complaint(&self) -> bool {
        !self.live.notes.complained.swap(true, Ordering::Relaxed)
    }
}

impl Link {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            live: RwLock::default(),
            opening: tokio::sync::Mutex::default(),
            epochs: AtomicU64::new(0),
            timeouts: AtomicU32::new(0),
        }
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(crate) async fn hold(self: &Arc<Self>) -> Result<Held, Fault> {
        Ok(Held { link: Arc::clone(self), live: self.live().await? })
    }

    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut live = self.live().await?;
        let answer = live.connection.send_packed_command(command).await;
        self.judge(answer, live.epoch)
    }

    /// Asks a node that takes over the slot and does not own it yet.
    pub(crate) async fn send_asking(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut live = self.live().await?;
        let pipeline = asking(command);
        let answers = live.connection.send_packed_commands(&pipeline, 1, 1).await;
        let answer = answers.map(|answers| answers.into_iter().next().unwrap_or(Value::Nil));
        self.judge(answer, live.epoch)
    }

    fn judge(&self, answer: Result<Value, RedisError>, epoch: u64) -> Result<Value, Fault> {
        match answer.and_then(top_level) {
            Ok(value) => {
                self.timeouts.store(0, Ordering::Relaxed);
                Ok(value)
            }
            Err(error) => {
                let fault = Fault::of(&error);
                if self.is_spoilt_by(&fault) {
                    self.drop_epoch(epoch);
                }
                Err(fault)
            }
        }
    }

    fn is_spoilt_by(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Unavailable { resolve, .. } => *resolve,
            Fault::Ambiguous { timeout: true, .. } => {
                self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_TIMEOUTS
            }
            Fault::Ambiguous { .. } | Fault::Denied { .. } => true,
            _ => false,
        }
    }

    /// Only the connection that failed is dropped, not one that another caller has made since.
    fn drop_epoch(&self, epoch: u64) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| live.epoch == epoch) {
            *live = None;
        }
    }

    /// Whatever connection there is, its caller has lost faith in it.
    pub(crate) fn drop_live(&self) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn current(&self) -> Option<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn live(&self) -> Result<Live, Fault> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let asked = Instant::now();
        let mut failed = self.opening.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        // Whoever waited for an attempt that failed shares its failure: one after the other, many
        // callers would each wait for a time-out of their own.
        if let Some((at, fault)) = &*failed
            && *at >= asked
        {
            return Err(fault.clone());
        }
        let connection = match self.connector.connect().await {
            Ok(connection) => connection,
            Err(fault) => {
                *failed = Some((Instant::now(), fault.clone()));
                return Err(fault);
            }
        };
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
        self.timeouts.store(0, Ordering::Relaxed);
        let live = Live { connection, epoch, notes: Arc::default() };
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        Ok(live)
    }
}

/// Both at once: `ASKING` holds for the next command of the connection alone.
fn asking(command: &Cmd) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.cmd("ASKING").add_command(command.clone());
    pipeline
}

/// Scripts never nest errors, so only the top of a reply is looked at.
fn top_level(value: Value) -> Result<Value, RedisError> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}
