//! A task for each partition that has to be served, whatever their number becomes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::news::SERVE_EVERY;
use crate::shared::Shared;

/// Runs one task for each served partition until told to stop, and waits for all of them. A partition
/// that is drained loses its task, and a new one gets one within 5 s, as does one whose task panicked.
pub(crate) async fn serve<F>(
    shared: &Shared,
    stop: CancellationToken,
    mut start: impl FnMut(u32, CancellationToken) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<u32, (Id, CancellationToken)> = BTreeMap::new();
    let mut news = shared.news.changed.subscribe();
    // Nothing need be looked up to begin with what is known.
    let mut served: Vec<u32> = (0..shared.news.known().routing.count).collect();
    let mut wait = Duration::ZERO;
    loop {
        while let Some(ended) = tasks.try_join_next_with_id() {
            if let Err(panicked) = ended {
                tracing::error!(queue = %shared.name, %panicked, "an agent begins anew");
                running.retain(|_, (id, _)| *id != panicked.id());
            }
        }
        for number in &served {
            running.entry(*number).or_insert_with(|| {
                let token = stop.child_token();
                (tasks.spawn(start(*number, token.clone())).id(), token)
            });
        }
        let drained: Vec<u32> =
            running.keys().filter(|number| !served.contains(number)).copied().collect();
        for (_, token) in drained.iter().filter_map(|number| running.remove(number)) {
            token.cancel();
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = news.changed() => {}
            () = sleep(wait) => {}
        }
        wait = SERVE_EVERY;
        match stop.run_until_cancelled(shared.served()).await {
            Some(now) => served = now,
            None => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}
