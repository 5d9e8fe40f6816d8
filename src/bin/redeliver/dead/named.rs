//! Dead letters that are named by their ids, and those of them that are none.

use std::collections::HashSet;

use redeliver::{MessageId, Queue, Raw, State};

use crate::exit_code::Exit;
use crate::output::note;

pub(super) struct Named {
    /// Each once.
    pub(super) ids: Vec<MessageId>,
    /// What was dead before anything was done: afterwards none of them is.
    not_dead: Vec<MessageId>,
}

impl Named {
    pub(super) async fn of(queue: &Queue<Raw>, ids: &[MessageId]) -> redeliver::Result<Self> {
        let mut seen = HashSet::new();
        let ids: Vec<_> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        let found = queue.find(&ids).await?;
        let is_dead = found.iter().map(|it| it.as_ref().is_some_and(|it| it.state == State::Dead));
        let not_dead = ids.iter().zip(is_dead).filter(|(_, is_dead)| !is_dead);
        let not_dead = not_dead.map(|(id, _)| *id).collect();
        Ok(Self { ids, not_dead })
    }

    /// Names those that were no dead letters, and says how the command ends.
    pub(super) fn tell(&self, done: u64) -> Exit {
        let missed = (self.ids.len() as u64).saturating_sub(done);
        if missed == 0 {
            return Exit::Ok;
        }
        let names: Vec<_> = self.not_dead.iter().map(ToString::to_string).collect();
        // Somebody else may have taken some in between.
        if names.is_empty() {
            note(&format!("not a dead letter any more: {missed} of them"));
        } else {
            note(&format!("not a dead letter: {}", names.join(", ")));
        }
        Exit::NotFound
    }
}
