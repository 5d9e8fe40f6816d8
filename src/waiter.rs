//! Waiting for a ring of the bell or the alarm, on a connection of its own.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::time::{sleep, timeout};

use crate::fault::{Fault, pause};
use crate::route::{Route, Seat};

/// The server's own time-out of a blocking read; a quiet link is proved alive this often.
const BLOCK_SECS: u64 = 30;
/// How long after that an answer may still come before the link counts as dead.
const PATIENCE: Duration = Duration::from_secs(BLOCK_SECS + 2);
const _: () = assert!(PATIENCE.as_secs() > BLOCK_SECS, "a quiet link is no dead one");

/// Reads one list that holds a token when there is news. The token carries nothing: a reader that
/// dies with it costs time, never a message.
#[derive(Debug)]
pub(crate) struct Waiter {
    route: Route,
    command: Cmd,
    connection: Option<(MultiplexedConnection, Seat)>,
    tries: u32,
}

impl Waiter {
    pub(crate) fn new(route: Route, key: &str) -> Self {
        let mut command = redis::cmd("BLPOP");
        command.arg(key).arg(BLOCK_SECS);
        Self { route, command, connection: None, tries: 0 }
    }

    /// Returns when it rang, or when a look is due anyway: after each quiet read and each fault.
    ///
    /// Dropped in the middle it may swallow a token; let it finish, or drop the waiter as well.
    pub(crate) async fn rung(&mut self) {
        match self.read().await {
            Ok(()) => self.tries = 0,
            Err(fault) => {
                tracing::debug!(?fault, "waiting goes on over another connection");
                self.connection = None;
                sleep(pause(self.tries)).await;
                self.tries = self.tries.saturating_add(1);
            }
        }
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let (mut connection, seat) = match self.connection.take() {
            Some(connected) => connected,
            None => self.route.connect_blocking().await?,
        };
        let read = timeout(PATIENCE, connection.send_packed_command(&self.command));
        let read = tokio::select! {
            biased;
            read = read => read,
            () = self.route.left(&seat) => {
                let reason = "the key is served elsewhere now".into();
                return Err(Fault::Unavailable { reason, resolve: true });
            }
        };
        let fault = match read {
            Ok(Ok(Value::ServerError(error))) => Fault::of(&error.into()),
            Ok(Ok(_)) => {
                self.connection = Some((connection, seat));
                return Ok(());
            }
            Ok(Err(error)) => Fault::of(&error),
            Err(_) => {
                let reason = "a blocking read was not answered".into();
                Fault::Ambiguous { reason, timeout: true }
            }
        };
        self.route.failed(&seat, &fault);
        Err(fault)
    }
}
