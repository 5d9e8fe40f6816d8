//! Every state that can be reached, within bounds.

use std::collections::BTreeSet;

use stateright::{Checker as _, Expectation, Model as _};

use crate::properties;
use crate::protocol::Protocol;
use crate::state::Bounds;

const fn bounds(messages: u8, faults: u8, detours: u8) -> Bounds {
    Bounds { messages, faults, detours }
}

/// What a test run affords: two messages with one fault or one detour, and one message with both.
const SHORT: [Bounds; 3] = [bounds(2, 1, 0), bounds(2, 0, 1), bounds(1, 1, 1)];
/// What takes a minute: pairs of everything.
const FULL: [Bounds; 4] = [bounds(2, 1, 1), bounds(2, 2, 0), bounds(2, 0, 2), bounds(1, 2, 2)];

/// Explores all, and returns the names of the situations that were reached.
fn explore(bounds: Bounds) -> BTreeSet<&'static str> {
    let protocol = Protocol { bounds, spoil: None, torn_claims: false };
    let checker = protocol.checker().spawn_bfs().join();
    let (states, transitions) = (checker.unique_state_count(), checker.state_count());
    let depth = checker.max_depth();
    report(&format!("{bounds:?}: {states} states, {transitions} transitions, depth {depth}"));
    let found = checker.discoveries();
    for property in properties::all() {
        if property.expectation == Expectation::Always
            && let Some(path) = found.get(property.name)
        {
            panic!("{:?} is broken: {path}last {:#?}", property.name, path.last_state());
        }
    }
    assert!(checker.is_done());
    found.into_keys().collect()
}

#[expect(clippy::print_stdout, reason = "the count is a result")]
fn report(line: &str) {
    println!("{line}");
}

#[test]
fn every_interleaving_keeps_every_promise() {
    let full = std::env::var("REDELIVER_INTERLEAVINGS").is_ok_and(|asked| asked == "full");
    let all = if full { [&SHORT[..], &FULL[..]].concat() } else { SHORT.to_vec() };
    let reached: BTreeSet<_> = all.into_iter().flat_map(explore).collect();
    let situations = properties::all().into_iter();
    let situations = situations.filter(|property| property.expectation == Expectation::Sometimes);
    let missed: Vec<_> =
        situations.map(|property| property.name).filter(|name| !reached.contains(name)).collect();
    assert!(missed.is_empty(), "never reached: {missed:#?}");
}
