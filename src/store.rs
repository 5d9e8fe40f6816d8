//! The one place that sends scripts: loads them where they are missing, repeats what may be repeated.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::{Instant, sleep};

use crate::error::Result;
use crate::fault::{Fault, pause};
use crate::keys::Keys;
use crate::metrics::{self, Meter, Timer};
use crate::route::Route;
use crate::routing::Routing;
use crate::script::{Args, Call, Reply, Script};

/// How long a call is repeated before its caller hears of the trouble.
pub(crate) const CALL_PATIENCE: Duration = Duration::from_secs(10);

/// One partition's keys, and the way to whoever serves them.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    route: Route,
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
    pub(crate) fn new(route: Route, keys: Keys, meter: Meter) -> Self {
        Self { route, keys: Arc::new(keys), meter }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
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
        let Ran { reply: (reply, _), repeated } = self.try_until(call, given_up).await?;
        Ok(Ran { reply, repeated })
    }

    /// Says also when the try that was answered was sent.
    pub(crate) async fn run_timed<C: Call>(&self, call: &C) -> Result<(C::Reply, Instant)> {
        Ok(self.try_until(call, Instant::now() + CALL_PATIENCE).await?.reply)
    }

    async fn try_until<C: Call>(
        &self,
        call: &C,
        given_up: Instant,
    ) -> Result<Ran<(C::Reply, Instant)>> {
        let script = call.script();
        let command = self.command(call);
        let attempt = async || {
            let sent = Instant::now();
            Ok((self.route.call(script, &command).await?, sent))
        };
        let ran = self.repeat((script, call.is_repeatable()), given_up, attempt).await?;
        let Ran { reply: (value, sent), repeated } = ran;
        let reply = call.read(Reply::new(script.name, value))?;
        call.count(&reply, repeated, &self.meter);
        Ok(Ran { reply: (reply, sent), repeated })
    }

    /// Tries at least once, and again until the given moment, as long as trying may help; what may
    /// have been executed only if that is harmless.
    pub(crate) async fn repeat<T, F>(
        &self,
        (script, is_repeatable): (&Script, bool),
        given_up: Instant,
        attempt: impl Fn() -> F,
    ) -> Result<Ran<T>>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut repeated = false;
        let mut tries = 0;
        loop {
            let timer = Timer::start();
            match attempt().await {
                Ok(reply) => {
                    metrics::called(script.name, &timer);
                    return Ok(Ran { reply, repeated });
                }
                Err(fault)
                    if !fault.is_passing()
                        || fault.is_ambiguous() && !is_repeatable
                        || Instant::now() >= given_up =>
                {
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

    /// How the queue is partitioned, as far as this partition knows.
    pub(crate) async fn routing(&self) -> Option<Routing> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys.meta()).arg("routing");
        Routing::read(&only(self.route.send(&command).await.ok()?)?)
    }

    /// Makes the next call over another connection.
    pub(crate) async fn drop_link(&self) {
        self.route.drop_link().await;
    }

    pub(crate) fn command<C: Call>(&self, call: &C) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(call.script().sha()).arg(self.keys.all().len());
        for key in self.keys.all() {
            command.arg(key);
        }
        call.write(&mut Args(&mut command));
        command
    }
}

/// The one value of an `HMGET`, if it is there.
pub(crate) fn only(told: Value) -> Option<String> {
    let values: [Option<String>; 1] = redis::from_redis_value(told).ok()?;
    let [value] = values;
    value
}
