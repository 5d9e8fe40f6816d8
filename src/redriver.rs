//! Drives on the redrive of a queue whose driver is gone.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::drive::{Redrive, Step};
use crate::error::Result;
use crate::message::Payload;
use crate::name::QueueName;
use crate::queue::Queue;
use crate::redrive::adopt;
use crate::sweep::{self, Next, Sweep};

/// An orphan is found within this time; it costs one small call.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Takes over a redrive whose driver has not been heard of for 10 s, and drives it to its end.
///
/// Any number may run, in any process: one of them gets the task. When it is shut down, another one
/// takes over in turn.
#[derive(Debug)]
pub struct Redriver<T> {
    queue: Queue<T>,
}

impl<T: Payload> Redriver<T> {
    /// For one queue.
    pub fn new(queue: Queue<T>) -> Self {
        Self { queue }
    }

    /// Runs until the future that it is given resolves. Faults of any kind are logged and outlived.
    pub async fn run(self, shutdown: impl Future) {
        let stop = CancellationToken::new();
        let _stopped_when_dropped = stop.clone().drop_guard();
        tokio::select! {
            _ = shutdown => {}
            () = sweep::run(Adoption { queue: self.queue, driven: None }, stop.clone()) => {}
        }
    }
}

struct Adoption<T> {
    queue: Queue<T>,
    driven: Option<Redrive>,
}

impl<T: Payload> Sweep for Adoption<T> {
    const NAME: &'static str = "redriver";

    fn queue(&self) -> &QueueName {
        self.queue.name()
    }

    async fn pass(&mut self) -> Result<Next> {
        let Some(redrive) = &mut self.driven else {
            self.driven = adopt(self.queue.shared()).await?;
            if let Some(redrive) = &self.driven {
                let queue = self.queue.name();
                tracing::info!(%queue, task = %redrive.task().id, "redrive taken over");
                return Ok(Next::Now);
            }
            return Ok(Next::After(LOOK_EVERY));
        };
        match redrive.step().await? {
            Step::Now => Ok(Next::Now),
            Step::After(wait) => Ok(Next::After(wait)),
            Step::Ended => {
                let (queue, task) = (self.queue.name(), redrive.task());
                let state = task.state.as_str();
                tracing::info!(%queue, task = %task.id, state, redriven = task.redriven, "redrive left");
                self.driven = None;
                Ok(Next::After(LOOK_EVERY))
            }
        }
    }

    async fn hint(&mut self) {
        std::future::pending::<()>().await;
    }
}
