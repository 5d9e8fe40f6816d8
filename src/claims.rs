//! Claims that cannot get lost between the server and whoever asked for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::backoff::millis;
use crate::batch::cut;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::message::Payload;
use crate::op::claim::{Claim, Left};
use crate::op::release::Release;
use crate::shared::Shared;

/// What a claim brought. Dropped, it releases what was not taken out of it.
#[derive(Debug)]
pub(crate) struct Claimed<T: Payload> {
    pub(crate) left: Left,
    shared: Arc<Shared>,
    deliveries: Vec<Delivery<T>>,
}

impl<T: Payload> Claimed<T> {
    pub(crate) fn take(mut self) -> Vec<Delivery<T>> {
        std::mem::take(&mut self.deliveries)
    }

    /// Puts everything back at the head of the queue, in its order.
    pub(crate) async fn release(mut self) {
        let deliveries = std::mem::take(&mut self.deliveries);
        release(Arc::clone(&self.shared), deliveries).await;
    }
}

impl<T: Payload> Drop for Claimed<T> {
    fn drop(&mut self) {
        let unwanted = std::mem::take(&mut self.deliveries);
        if !unwanted.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(release(Arc::clone(&self.shared), unwanted));
        }
    }
}

/// Claims in a task of its own: a caller that goes away, at whatever moment, does not keep the
/// messages from their next holder.
pub(crate) async fn claim<T: Payload>(shared: &Arc<Shared>, claim: Claim) -> Result<Claimed<T>> {
    let (sender, receiver) = oneshot::channel();
    let shared = Arc::clone(shared);
    tokio::spawn(async move { sender.send(claim_now(&shared, claim).await).ok() });
    let stopped = |_| Error::Ambiguous { reason: "the runtime has ended".into() };
    receiver.await.map_err(stopped)?
}

async fn claim_now<T: Payload>(shared: &Arc<Shared>, claim: Claim) -> Result<Claimed<T>> {
    let claimed = shared.store.run(&claim).await?.reply;
    let claimed_ms = claimed.deadline_ms.saturating_sub(millis(claim.lease));
    let deliver = |message| Delivery::new(shared, message, claimed_ms);
    let deliveries = claimed.messages.into_iter().map(deliver).collect();
    Ok(Claimed { left: claimed.left, shared: Arc::clone(shared), deliveries })
}

/// A delivery that cannot be released comes back when its lease ends.
async fn release<T: Payload>(shared: Arc<Shared>, deliveries: Vec<Delivery<T>>) {
    let items = deliveries.iter().map(|delivery| delivery.release_item(Duration::ZERO)).collect();
    // Each call puts its messages before those of the call before it.
    for items in cut::<Release>(items).into_iter().rev() {
        if let Err(error) = shared.store.run(&Release(items)).await {
            tracing::warn!(%error, "deliveries could not be released");
        }
    }
}
