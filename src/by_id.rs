//! Operations by id that a script may defer: at most one walk through the ready list a call.

use crate::error::Result;
use crate::name::MessageId;
use crate::op::cancel::{Cancel, Cancelled};
use crate::op::reschedule::{Reschedule, Rescheduled};
use crate::script::MAX_ITEMS;
use crate::shared::Shared;
use crate::store::{Ran, Store};
use crate::together;

/// What is still to be asked for, by index: first in full calls, then, one by one, the ready ones
/// that those calls deferred.
struct Open {
    all: Vec<usize>,
    deferred: Vec<usize>,
}

impl Open {
    fn all(ids: &[MessageId]) -> Self {
        Self { all: (0..ids.len()).collect(), deferred: Vec::new() }
    }

    /// The next call's share, while there is one.
    fn next(&mut self, ids: &[MessageId]) -> Option<(Vec<usize>, Vec<MessageId>)> {
        let full = self.all.len().min(MAX_ITEMS);
        let mut step: Vec<_> = self.all.drain(..full).collect();
        if step.is_empty() {
            step.extend(self.deferred.pop());
        }
        let asked: Vec<_> = step.iter().map(|index| ids[*index]).collect();
        (!step.is_empty()).then_some((step, asked))
    }
}

async fn cancel(store: &Store, ids: &[MessageId]) -> Result<Vec<Cancelled>> {
    let mut outcomes = vec![Cancelled::Missing; ids.len()];
    let mut open = Open::all(ids);
    while let Some((step, asked)) = open.next(ids) {
        let Ran { reply, repeated } = store.run(&Cancel(&asked)).await?;
        for (index, outcome) in step.into_iter().zip(reply) {
            match outcome {
                Cancelled::Deferred => open.deferred.push(index),
                Cancelled::Missing if repeated => outcomes[index] = Cancelled::Unknown,
                outcome => outcomes[index] = outcome,
            }
        }
    }
    Ok(outcomes)
}

async fn reschedule(store: &Store, ids: &[MessageId], due: &str) -> Result<Vec<Rescheduled>> {
    let mut outcomes = vec![Rescheduled::Missing; ids.len()];
    let mut open = Open::all(ids);
    while let Some((step, asked)) = open.next(ids) {
        let call = Reschedule { ids: &asked, due };
        for (index, outcome) in step.into_iter().zip(store.run(&call).await?.reply) {
            match outcome {
                Rescheduled::Deferred => open.deferred.push(index),
                outcome => outcomes[index] = outcome,
            }
        }
    }
    Ok(outcomes)
}

/// Asks all partitions: an id is in one of them.
pub(crate) async fn cancel_in(shared: &Shared, ids: &[MessageId]) -> Result<Vec<Cancelled>> {
    let partitions = shared.all().await;
    let answers = together::all(partitions.iter().map(|it| cancel(&it.store, ids))).await?;
    let merge = |place: usize| {
        let is = |wanted| answers.iter().any(|outcomes| outcomes[place] == wanted);
        let told = [Cancelled::Done, Cancelled::Unknown].into_iter().find(|outcome| is(*outcome));
        told.unwrap_or(Cancelled::Missing)
    };
    Ok((0..ids.len()).map(merge).collect())
}

/// The same for other due times.
pub(crate) async fn reschedule_in(
    shared: &Shared,
    ids: &[MessageId],
    due: &str,
) -> Result<Vec<Rescheduled>> {
    let partitions = shared.all().await;
    let answers = partitions.iter().map(|it| reschedule(&it.store, ids, due));
    let answers = together::all(answers).await?;
    let merge = |place: usize| {
        let mut outcomes = answers.iter().map(|outcomes| outcomes[place]);
        outcomes.find(|it| *it != Rescheduled::Missing).unwrap_or(Rescheduled::Missing)
    };
    Ok((0..ids.len()).map(merge).collect())
}
