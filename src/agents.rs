//! The thread beside a worker: its extender and its poller, on a runtime that no handler can block.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::{Error, Result};
use crate::lease::{Extender, Leases};
use crate::message::Payload;
use crate::poller::Pass;
use crate::queue::Queue;
use crate::serving::serve;
use crate::{simulated, sweep};

/// A running thread; dropped, it ends by itself.
#[derive(Debug)]
pub(crate) struct Agents {
    stop: DropGuard,
    stopped: oneshot::Receiver<()>,
}

impl Agents {
    pub(crate) fn start<T: Payload>(
        queue: &Queue<T>,
        leases: &Arc<[Arc<Leases>]>,
        (lease, cap): (Duration, Duration),
        polls: bool,
    ) -> Result<Self> {
        let stop = CancellationToken::new();
        let (done, stopped) = oneshot::channel();
        let (extending, polling) = (queue.shared().apart(), Arc::new(queue.shared().apart()));
        let (token, leases) = (stop.clone(), Arc::clone(leases));
        let life = async move {
            // A drained partition keeps its extender: a handler may still have to hear of a lease there.
            let mut extended = BTreeMap::new();
            let extend = |number: u32, _| {
                let leases = &leases[number as usize];
                let sweep = Extender::new(extending.partition(number), leases, (lease, cap));
                once(&mut extended, number, sweep::run(sweep, token.clone()))
            };
            let poll = |number, stop| sweep::run(Pass::new(&polling, number, None), stop);
            let extending = serve(&extending, token.clone(), extend);
            if polls {
                tokio::join!(extending, serve(&polling, token.clone(), poll));
            } else {
                extending.await;
            }
        };
        let life = async {
            life.await;
            done.send(()).ok();
        };
        if simulated::is_on() {
            tokio::spawn(life);
        } else {
            apart(life)?;
        }
        Ok(Self { stop: stop.drop_guard(), stopped })
    }

    /// Ends the agents and waits for them.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.stopped.await.ok();
    }
}

/// Runs what outlives its partition's being drained, and no second one beside it when that is served
/// again.
fn once<F: Future<Output = ()>>(
    begun: &mut BTreeMap<u32, Weak<()>>,
    number: u32,
    task: F,
) -> impl Future<Output = ()> + use<F> {
    let runs = begun.get(&number).is_some_and(|life| life.strong_count() > 0);
    let first = (!runs).then(|| {
        let life = Arc::new(());
        begun.insert(number, Arc::downgrade(&life));
        (task, life)
    });
    async {
        if let Some((task, _life)) = first {
            task.await;
        }
    }
}

/// Runs this on a thread and a runtime of its own.
fn apart(life: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let failed = |error: std::io::Error| Error::Unavailable { reason: error.to_string() };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name("redeliver-agents".into());
    thread.spawn(move || runtime.block_on(life)).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_partition_gets_no_second_extender_while_it_has_one() {
        let (started, mut begun) = (Cell::new(0), BTreeMap::new());
        let mut start = |number| once(&mut begun, number, async { started.set(started.get() + 1) });
        let first = start(0);
        start(0).await;
        assert_eq!(started.get(), 0, "the first one is there");
        first.await;
        start(1).await;
        start(0).await;
        assert_eq!(started.get(), 3, "its first one has ended");
    }
}
