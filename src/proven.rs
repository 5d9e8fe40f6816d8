//! Pushes that wait until the server has confirmed more than that it took them.

use std::collections::HashMap;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::batch::{Batched, MAX_BATCH, MAX_BATCH_BYTES, cut};
use crate::durability::{Confirmed, Proof};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::link::Held;
use crate::op::push::{Placed, Push, Routed, SCRIPT};
use crate::route::loading;
use crate::script::{Call, Reply};
use crate::store::{Ran, Store};

/// Calls that share one proof. A replica far away answers after a round trip of its own, so whatever
/// waits goes together: 8,192 pushes each time, instead of 512.
const MAX_CALLS: usize = 16;

/// What decides when a write is synced.
const SYNC_SETTINGS: [&str; 3] = ["appendonly", "appendfsync", "no-appendfsync-on-rewrite"];

/// Pushes, in calls that share one proof. `WAIT` speaks of the last write of its own connection, and
/// holds up what comes after it there: hence a link of their own.
#[derive(Debug)]
pub(crate) struct ProvenPush {
    calls: Vec<Push>,
    proof: Proof,
}

/// What became of one push, and how many copies confirmed it where that was too few.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proven {
    pub(crate) placed: Placed,
    pub(crate) short: Option<u32>,
}

impl Batched for ProvenPush {
    type Item = Routed;
    type Outcome = Proven;
    const ITEMS: usize = MAX_CALLS * MAX_BATCH;
    const BYTES: usize = MAX_CALLS * MAX_BATCH_BYTES;
    /// The server would not look at a second one while the first one waits.
    const CALLS: usize = 1;

    fn collect(items: Vec<Routed>) -> Self {
        let proof = items.iter().map(|item| item.message.proof).fold(Proof::default(), Proof::and);
        Self { calls: cut::<Push>(items).into_iter().map(Push).collect(), proof }
    }

    fn weight(item: &Routed) -> usize {
        Push::weight(item)
    }

    async fn run(&self, store: &Store, given_up: Instant) -> Result<Ran<Vec<Proven>>> {
        let ran = store.repeat((&SCRIPT, true), given_up, || self.attempt(store)).await?;
        let Ran { reply: (placed, confirmed), repeated } = ran;
        let mut outcomes = Vec::new();
        for (call, placed) in self.calls.iter().zip(placed) {
            call.count(&placed, repeated, store.meter());
            outcomes.extend(call.0.iter().zip(placed).map(|(item, placed)| {
                let kept =
                    matches!(placed, Placed::Ready | Placed::Scheduled | Placed::Duplicate { .. });
                Proven { placed, short: confirmed.short_of(item.message.proof).filter(|_| kept) }
            }));
        }
        let unproven = outcomes.iter().filter(|proven| proven.short.is_some()).count();
        if unproven > 0 {
            tracing::debug!(unproven, ?confirmed, wanted = ?self.proof, "pushes were not proven");
            store.meter().unproven(unproven);
        }
        Ok(Ran { reply: outcomes, repeated })
    }
}

impl ProvenPush {
    /// One try, all of it over one connection: what another one wrote proves nothing of ours.
    async fn attempt(&self, store: &Store) -> Result<(Vec<Vec<Placed>>, Confirmed), Fault> {
        let (held, seat) = store.route().hold().await?;
        let done = self.over(&held, store).await;
        done.map_err(|fault| store.route().judge(&seat, fault))
    }

    async fn over(
        &self,
        held: &Held,
        store: &Store,
    ) -> Result<(Vec<Vec<Placed>>, Confirmed), Fault> {
        // A new connection may lead to another server, and a question behind a push that found no
        // script there is waited for all the same.
        let mut values = self.send(store, held, held.is_new()).await?;
        let pushes = &values[..self.calls.len()];
        if pushes.iter().all(|value| fault_of(value) == Some(Fault::NoScript)) {
            values = self.send(store, held, true).await?;
        }
        let mut confirmations = values.split_off(self.calls.len());
        let placed = self.read(values)?;
        if found_without_writing(&placed) {
            // It was asked about an earlier write: a value that nobody reads, written again, is behind whatever
            // was found.
            let mut commands = Pipeline::new();
            commands.cmd("HSET").arg(store.keys().meta()).arg("proof").arg("1");
            self.ask(&mut commands);
            confirmations = held.send_all(&commands, self.proof.within).await?;
            let written = confirmations.remove(0);
            if judged(Some(written), held)?.is_err() {
                return Ok((placed, Confirmed::default()));
            }
        }
        let confirmed = self.confirmed(confirmations, held)?;
        Ok((placed, confirmed))
    }

    /// Sends everything in one go, behind the script where that is wanted.
    async fn send(&self, store: &Store, held: &Held, load: bool) -> Result<Vec<Value>, Fault> {
        let mut commands = Pipeline::new();
        if load {
            commands.add_command(loading(&SCRIPT));
        }
        for call in &self.calls {
            commands.add_command(store.command(call));
        }
        self.ask(&mut commands);
        let values = held.send_all(&commands, self.proof.within).await?;
        Ok(values.into_iter().skip(usize::from(load)).collect())
    }

    fn ask(&self, commands: &mut Pipeline) {
        if self.proof.replicas > 0 {
            let within = self.proof.within.as_millis().to_string();
            commands.cmd("WAIT").arg(self.proof.replicas).arg(within);
        }
        if self.proof.synced {
            commands.cmd("CONFIG").arg("GET").arg(&SYNC_SETTINGS);
            commands.cmd("INFO").arg("persistence");
        }
    }

    /// Reads what became of the pushes. A fault of one call is that of all: the others may have been
    /// executed.
    fn read(&self, values: Vec<Value>) -> Result<Vec<Vec<Placed>>, Fault> {
        let executed = values.iter().any(|value| fault_of(value).is_none());
        if let Some(fault) = values.iter().find_map(fault_of) {
            return Err(if executed { fault.after_ambiguity() } else { fault });
        }
        let refused = |error: Error| Fault::Refused { reason: error.to_string() };
        let read = self.calls.iter().zip(values);
        read.map(|(call, value)| call.read(Reply::new(SCRIPT.name, value)).map_err(refused))
            .collect()
    }

    fn confirmed(&self, values: Vec<Value>, held: &Held) -> Result<Confirmed, Fault> {
        let mut confirmed = Confirmed::default();
        let mut values = values.into_iter();
        if self.proof.replicas > 0
            && let Ok(Value::Int(replicas)) = judged(values.next(), held)?
        {
            confirmed.replicas = u32::try_from(replicas).unwrap_or_default();
        }
        if self.proof.synced {
            let settings = judged(values.next(), held)?.is_ok_and(is_synced);
            confirmed.synced = judged(values.next(), held)?.is_ok_and(has_a_file) && settings;
        }
        Ok(confirmed)
    }
}

/// With `always` no answer leaves the server before its write is synced. `WAITAOF` is not asked: under
/// `everysec` servers were seen to answer it up to a second before they synced.
fn is_synced(told: Value) -> bool {
    let settings: HashMap<String, String> = redis::from_redis_value(told).unwrap_or_default();
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|set| set == value);
    let [only, sync, not_on_rewrite] = SYNC_SETTINGS;
    is(only, "yes") && is(sync, "always") && !is(not_on_rewrite, "yes")
}

/// Until its first rewrite has ended, a file that was begun anew is none that the server would read: after
/// `CONFIG SET appendonly yes`, and after each full copy of a replica that is promoted then.
fn has_a_file(told: Value) -> bool {
    let told: String = redis::from_redis_value(told).unwrap_or_default();
    let says = |line: &str| told.lines().any(|told| told == line);
    let rewrites = ["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"].into_iter().any(says);
    says("aof_enabled:1") && !(rewrites && says("aof_base_size:0"))
}

fn fault_of(value: &Value) -> Option<Fault> {
    match value {
        Value::ServerError(error) => Some(Fault::of(&error.clone().into())),
        _ => None,
    }
}

/// Whether messages were found that no later write of these calls is behind.
fn found_without_writing(placed: &[Vec<Placed>]) -> bool {
    let wrote = |placed: &Placed| matches!(placed, Placed::Ready | Placed::Scheduled);
    let found = |placed: &Placed| matches!(placed, Placed::Duplicate { .. });
    placed.iter().flatten().any(found) && !placed.last().is_some_and(|last| last.iter().any(wrote))
}

/// An answer, or a lasting reason why there is none. A server that has just lost its role has taken
/// a message that may be gone with it: then all is to be done again.
fn judged(value: Option<Value>, held: &Held) -> Result<Result<Value, Fault>, Fault> {
    let value = value.unwrap_or(Value::Nil);
    match fault_of(&value) {
        Some(fault) if fault.is_passing() => {
            held.leave();
            Err(fault.after_ambiguity())
        }
        Some(fault) => {
            if held.is_first_complaint() {
                tracing::warn!(?fault, "the server does not say whether pushes are safe");
            }
            Ok(Err(fault))
        }
        None => Ok(Ok(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{MessageId, State};

    #[test]
    fn only_a_server_that_syncs_each_write_proves_it() {
        let settings = |only: &str, sync: &str, not_on_rewrite: &str| {
            let text = |text: &str| Value::BulkString(text.into());
            Value::Map(vec![
                (text("appendonly"), text(only)),
                (text("appendfsync"), text(sync)),
                (text("no-appendfsync-on-rewrite"), text(not_on_rewrite)),
            ])
        };
        assert!(is_synced(settings("yes", "always", "no")));
        assert!(!is_synced(settings("yes", "always", "yes")));
        assert!(!is_synced(settings("yes", "everysec", "no")));
        assert!(!is_synced(settings("no", "always", "no")));
        assert!(!is_synced(Value::Nil));
    }

    #[test]
    fn a_file_that_is_begun_anew_proves_nothing_before_it_is_whole() {
        let told = |running: u8, scheduled: u8, base: u32| {
            Value::BulkString(
                format!(
                    "# Persistence\r\naof_enabled:1\r\naof_rewrite_in_progress:{running}\r\n\
                     aof_rewrite_scheduled:{scheduled}\r\naof_base_size:{base}\r\n"
                )
                .into(),
            )
        };
        for (running, scheduled, base, proves) in [
            (0, 0, 0, true),
            (0, 0, 89, true),
            (1, 0, 89, true),
            (1, 0, 0, false),
            (0, 1, 0, false),
        ] {
            assert_eq!(
                has_a_file(told(running, scheduled, base)),
                proves,
                "{running} {scheduled} {base}"
            );
        }
        assert!(!has_a_file(Value::BulkString("aof_enabled:0\r\n".into())));
        assert!(!has_a_file(Value::Nil));
    }

    #[test]
    fn only_a_write_behind_all_that_was_found_proves_it() {
        let found = Placed::Duplicate { id: MessageId::generate(), state: State::Ready };
        let full = Placed::Full { cap: "max_ready", limit: 1 };
        for (placed, fenced) in [
            (vec![vec![Placed::Ready]], false),
            (vec![vec![found, Placed::Scheduled]], false),
            (vec![vec![found], vec![Placed::Ready]], false),
            (vec![vec![full]], false),
            (vec![vec![found]], true),
            (vec![vec![Placed::Ready], vec![found]], true),
            (vec![vec![found], vec![full]], true),
        ] {
            assert_eq!(found_without_writing(&placed), fenced, "{placed:?}");
        }
    }
}
