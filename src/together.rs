//! Waiting for several answers at once, without a task for each.

use std::future::poll_fn;
use std::task::Poll;

use crate::error::Result;

/// Runs all of them to their ends; what they answer comes in their order.
pub(crate) async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| Ok(Box::pin(future))).collect();
    poll_fn(|context| {
        let mut open = false;
        for slot in &mut running {
            if let Ok(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(answer) => *slot = Err(answer),
                    Poll::Pending => open = true,
                }
            }
        }
        if open { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(std::result::Result::err).collect()
}

/// The same where each may fail: all of them end before the first failure is told.
pub(crate) async fn all<R>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<R>>>,
) -> Result<Vec<R>> {
    together(futures).await.into_iter().collect()
}

/// Lets whoever is about to run go first. Tokio's own `yield_now` keeps the task on its thread, which
/// a handler may block; this one any idle thread may take.
pub(crate) async fn step_back() {
    let mut stepped = false;
    poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
