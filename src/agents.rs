//! The thread beside a worker: its extender and its poller, on a runtime that no handler can block.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::{Error, Result};
use crate::lease::{Extender, Leases};
use crate::message::Payload;
use crate::poller::Poller;
use crate::queue::Queue;
use crate::simulated;
use crate::sweep;

/// A running thread; dropped, it ends by itself.
#[derive(Debug)]
pub(crate) struct Agents {
    stop: DropGuard,
    stopped: oneshot::Receiver<()>,
}

impl Agents {
    pub(crate) fn start<T: Payload>(
        queue: &Queue<T>,
        leases: &Arc<Leases>,
        (lease, cap): (Duration, Duration),
        polls: bool,
    ) -> Result<Self> {
        let stop = CancellationToken::new();
        let (done, stopped) = oneshot::channel();
        let extender = Extender::new(queue.apart(), Arc::clone(leases), lease, cap);
        let poller = polls.then(|| Poller::new(queue.apart()));
        let token = stop.clone();
        let life = async move {
            let extending = sweep::run(extender, token.clone());
            match poller {
                Some(poller) => {
                    tokio::join!(extending, poller.until(token));
                }
                None => extending.await,
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

/// Runs this on a thread and a runtime of its own.
fn apart(life: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let failed = |error: std::io::Error| Error::Unavailable { reason: error.to_string() };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name("redeliver-agents".into());
    thread.spawn(move || runtime.block_on(life)).map_err(failed)?;
    Ok(())
}
