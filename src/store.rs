//! The one place that sends scripts: loads them where they are missing, repeats what may be repeated.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::{Instant, sleep};

use crate::connect::Connector;
use crate::error::Result;
use crate::fault::{Fault, pause};
use crate::keys::Keys;
use crate::link::Link;
use crate::metrics::{self, Meter, Timer};
use crate::script::{Args, Call, Reply, Script};

/// How long a call is repeated before its caller hears of the trouble.
pub(crate) const CALL_PATIENCE: Duration = Duration::from_secs(10);

/// One partition's keys on one server.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    link: Arc<Link>,
    keys: Arc<Keys>,
    meter: Meter,
}

/// A reply, and whether the call may have been executed before it was repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran<R> {
    pub(crate) reply: R,
    pub(crate) repeated: bool,
}

impl Store {
    pub(crate) fn new(link: Arc<Link>, keys: Keys, meter: Meter) -> Self {
        Self { link, keys: Arc::new(keys), meter }
    }

    /// The same keys over a link of its own.
    pub(crate) fn apart(&self) -> Self {
        let link = Link::new(self.link.connector().clone());
        Self { link: Arc::new(link), keys: Arc::clone(&self.keys), meter: self.meter.clone() }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn connector(&self) -> &Connector {
        self.link.connector()
    }

    pub(crate) async fn run<C: Call>(&self, call: &C) -> Result<Ran<C::Reply>> {
        self.run_until(call, Instant::now() + CALL_PATIENCE).await
    }

    /// Calls at least once, and again until the given moment.
    pub(crate) async fn run_until<C: Call>(
        &self,
        call: &C,
        given_up: Instant,
    ) -> Result<Ran<C::Reply>> {
        let script = call.script();
        let command = self.command(call);
        let mut repeated = false;
        let mut tries = 0;
        loop {
            let timer = Timer::start();
            match self.send(script, &command).await {
                Ok(value) => {
                    metrics::called(script.name, &timer);
                    let reply = call.read(Reply::new(script.name, value))?;
                    call.count(&reply, repeated, &self.meter);
                    return Ok(Ran { reply, repeated });
                }
                Err(fault) if !fault.is_passing() || Instant::now() >= given_up => {
                    metrics::fault(script.name, "failed");
                    return Err(if repeated { fault.after_ambiguity() } else { fault }.into());
                }
                Err(fault) => {
                    metrics::fault(script.name, "repeated");
                    tracing::debug!(script = script.name, ?fault, tries, "call is repeated");
                    repeated |= fault.is_ambiguous();
                    sleep(pause(tries)).await;
                    tries += 1;
                }
            }
        }
    }

    /// Makes the next call over another connection.
    pub(crate) fn drop_link(&self) {
        self.link.drop_live();
    }

    fn command<C: Call>(&self, call: &C) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(call.script().sha()).arg(self.keys.all().len());
        for key in self.keys.all() {
            command.arg(key);
        }
        call.write(&mut Args(&mut command));
        command
    }

    /// `SCRIPT LOAD` rather than `EVAL`: from Redis 7.4 on the server forgets what came by `EVAL`.
    async fn send(&self, script: &Script, command: &Cmd) -> Result<Value, Fault> {
        match self.link.send(command).await {
            Err(Fault::NoScript) => {
                self.link.send(redis::cmd("SCRIPT").arg("LOAD").arg(script.text)).await?;
                self.link.send(command).await
            }
            answer => answer,
        }
    }
}
