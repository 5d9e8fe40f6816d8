//! Bugs planted into the model, each with the promise that it breaks.

use std::collections::BTreeSet;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use crate::properties;
use crate::protocol::{Protocol, Spoil};
use crate::server::{Id, Line, Request, Word};
use crate::state::Bounds;

/// All of these bugs need one fault and one detour at most.
const BOUNDS: Bounds = Bounds { messages: 2, faults: 1, detours: 1 };

const BUGS: [(&str, &str, Spoil); 18] = [
    ("ack takes any receipt", "a late receipt changes nothing", |request, before, after, word| {
        if let (Request::Ack(receipt), Word::Lost) = (request, *word)
            && before.has(receipt.id)
        {
            *after = before.clone();
            after.pending.remove(receipt.id);
            after.forget(receipt.id);
            *word = Word::Acked;
        }
    }),
    ("ack of what is gone is acked", "a receipt settles once", |request, before, _, word| {
        if let Request::Ack(receipt) = request
            && !before.has(receipt.id)
        {
            *word = Word::Acked;
        }
    }),
    ("ack leaves pending", "nothing is lost", |request, _, after, word| {
        if let (Request::Ack(receipt), Word::Acked) = (request, word) {
            after.pending.add(receipt.id);
        }
    }),
    ("ack leaves the record", "nothing is lost", |request, _, after, word| {
        if let (Request::Ack(receipt), Word::Acked) = (request, word) {
            after.records[usize::from(receipt.id)] = true;
        }
    }),
    ("extend takes any receipt", "no two live holders", |request, _, after, word| {
        if let Request::Extend(receipt) = request
            && after.pending.holds(receipt.id)
        {
            after.pending.add(receipt.id);
            *word = Word::Extended;
        }
    }),
    ("retry leaves pending", "nothing is lost", |request, _, after, word| {
        if let (Request::Retry(receipt, _), Word::Ready) = (request, word) {
            after.pending.add(receipt.id);
        }
    }),
    ("retry forgets to schedule", "nothing is lost", |request, _, after, word| {
        if let (Request::Retry(receipt, _), Word::Scheduled) = (request, word) {
            after.scheduled.remove(receipt.id);
        }
    }),
    ("retry keeps the attempt", "a late receipt changes nothing", |request, _, after, word| {
        if let (Request::Retry(receipt, _), Word::Ready) = (request, word) {
            fall(&mut after.lines[usize::from(receipt.id)]);
        }
    }),
    ("retry never kills", "failures never exceed the maximum", |request, _, after, word| {
        if let (Request::Retry(receipt, _), Word::Dead) = (request, *word) {
            after.dead.clear();
            after.ready.push(receipt.id);
            *word = Word::Ready;
        }
    }),
    ("retry kills at once", "dead is spent or buried", |request, _, after, word| {
        if let (Request::Retry(receipt, _), Word::Ready) = (request, *word) {
            after.ready.retain(|id| *id != receipt.id);
            after.dead.push(receipt.id);
            *word = Word::Dead;
        }
    }),
    ("claim leaves the head", "nothing is lost", |_, _, after, word| {
        if let Word::Handed(id, _) = *word {
            after.ready.insert(0, id);
        }
    }),
    ("reclaim keeps the attempt", "a late receipt changes nothing", |request, before, after, _| {
        if request == Request::Redeliver {
            for id in &before.pending.come {
                fall(&mut after.lines[usize::from(*id)]);
            }
        }
    }),
    ("reclaim counts nothing", "the attempt counts the deliveries", |request, before, after, _| {
        if request == Request::Redeliver {
            after.lines = before.lines;
        }
    }),
    ("reclaim takes live leases", "no two live holders", |request, before, after, _| {
        if request == Request::Redeliver {
            for id in &before.pending.ahead {
                after.pending.remove(*id);
                after.ready.push(*id);
            }
        }
    }),
    ("nobody reclaims", "always drained", |request, before, after, _| {
        if request == Request::Redeliver {
            let overdue = |id: &Id| before.pending.come.contains(id);
            after.pending = before.pending.clone();
            after.lines = before.lines;
            after.ready.retain(|id| !overdue(id));
            after.dead.retain(|id| !overdue(id));
        }
    }),
    ("redrive resets the attempt", "attempts never decrease", |request, _, after, word| {
        if let (Request::Redrive(id), Word::Redriven(1)) = (request, word) {
            after.lines[usize::from(id)] = None;
        }
    }),
    ("cancel leaves the record", "nothing is lost", |request, before, after, _| {
        if let Request::Cancel(_) = request {
            after.records = before.records;
        }
    }),
    ("push does not look", "nothing is lost", |request, _, after, word| {
        if let (Request::Push(id), Word::Duplicate) = (request, word) {
            after.ready.push(id);
        }
    }),
];

/// The line of a message that came back, as if its delivery had not been counted.
fn fall(line: &mut Option<Line>) {
    if let Some(line) = line {
        line.deliveries -= 1;
    }
}

fn breaks(promise: &'static str, spoil: Option<Spoil>, torn_claims: bool) -> bool {
    let protocol = Protocol { bounds: BOUNDS, spoil, torn_claims };
    let found = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    protocol.checker().finish_when(found).spawn_bfs().join().discovery(promise).is_some()
}

#[test]
fn every_planted_bug_is_caught() {
    let missed = BUGS.iter().filter(|(_, promise, spoil)| !breaks(promise, Some(*spoil), false));
    let mut missed: Vec<_> = missed.map(|(what, ..)| *what).collect();
    if !breaks("no two live holders", None, true) {
        missed.push("claim in two steps");
    }
    assert!(missed.is_empty(), "nobody noticed: {missed:#?}");
}

#[test]
fn every_promise_can_be_broken() {
    let broken: BTreeSet<_> = BUGS.iter().map(|(_, promise, _)| *promise).collect();
    let promises = properties::all().into_iter();
    let promises = promises.filter(|property| property.expectation == Expectation::Always);
    assert_eq!(broken, promises.map(|property| property.name).collect());
}
