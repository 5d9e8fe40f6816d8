//! What has to hold in every state that can be reached, and what has to be reached.

use stateright::Property;

use crate::protocol::Protocol;
use crate::server::{MAX_ATTEMPTS, MESSAGES, Receipt};
use crate::state::{Broken, Call, Known, State};

type Promise = Property<Protocol>;

/// Steps of a plain service until all is settled or dead. Two calls may be on their way; then each message
/// comes, is moved to ready, claimed and acknowledged, with a step to send and a step to execute.
const DRAINED_WITHIN: usize = 20;

fn all_ids(mut holds: impl FnMut(u8) -> bool) -> bool {
    (0..MESSAGES).all(&mut holds)
}

/// Every accepted push is in exactly one place, with its record, until it is acknowledged or cancelled.
fn nothing_is_lost(_: &Protocol, state: &State) -> bool {
    all_ids(|id| {
        let owed = state.known[usize::from(id)].owed;
        state.server.places(id) == usize::from(owed) && state.server.has(id) == owed
    })
}

/// Two lives of a message are two messages: a cancel takes the first from its holder's hands. A receipt that
/// outlived its record is not covered: it can take the second from its holder, too.
fn one_live_holder(_: &Protocol, state: &State) -> bool {
    let live = state.holders.iter().filter(|holder| holder.live);
    let mut held: Vec<_> =
        live.filter_map(|holder| holder.receipt).map(|r| (r.id, r.life)).collect();
    held.sort_unstable();
    state.outlived || held.windows(2).all(|two| two[0] != two[1])
}

fn never(state: &State, broken: Broken) -> bool {
    state.broken != Some(broken)
}

/// From here, a service in which nothing goes wrong any more settles everything that is not dead, and
/// spends none of the bounds: its steps are steps of this model. So the end is never out of reach, and a
/// run that is fair gets there. (An `eventually` of stateright would tell less: it looks only at runs
/// that end, and misses some where two runs join. Ours may look at an empty queue for ever.)
fn drains(protocol: &Protocol, state: &State) -> bool {
    let mut state = state.clone();
    for _ in 0..DRAINED_WITHIN {
        if state.drained() {
            return true;
        }
        let Some(action) = Protocol::plain_step(&state) else { return false };
        if protocol.step(&mut state, action).is_none() {
            return false;
        }
    }
    false
}

fn known(state: &State, receipt: Receipt) -> Known {
    state.known[usize::from(receipt.id)]
}

/// Another delivery of the same life is out.
fn superseded(state: &State, receipt: Receipt) -> bool {
    let known = known(state, receipt);
    known.lives == receipt.life && known.out.is_some_and(|out| out != receipt.delivery)
}

/// A settling that nobody awaits is on its way.
fn late(state: &State, with: impl Fn(Receipt) -> bool) -> bool {
    let settling = |call: &Call| matches!(call, Call::Settle(receipt) if with(*receipt));
    state.strays.iter().any(settling)
}

pub(crate) fn all() -> Vec<Promise> {
    let mut properties = always();
    properties.extend(sometimes());
    properties
}

fn always() -> Vec<Promise> {
    vec![
        Promise::always("nothing is lost", nothing_is_lost),
        Promise::always("no two live holders", one_live_holder),
        Promise::always("a receipt settles once", |_, state| never(state, Broken::SettledTwice)),
        Promise::always("a late receipt changes nothing", |_, state| {
            never(state, Broken::LateReceipt)
        }),
        Promise::always("attempts never decrease", |_, state| never(state, Broken::AttemptFell)),
        Promise::always("the attempt counts the deliveries", |_, state| {
            all_ids(|id| {
                let (known, line) = (state.known[usize::from(id)], state.server.line(id));
                line.deliveries + u8::from(known.out.is_some()) == known.deliveries
            })
        }),
        Promise::always("failures never exceed the maximum", |_, state| {
            all_ids(|id| state.server.line(id).failures <= MAX_ATTEMPTS)
        }),
        Promise::always("dead is spent or buried", |_, state| never(state, Broken::DiedEarly)),
        Promise::always("always drained", drains),
    ]
}

/// The situations that the properties above are about.
fn sometimes() -> Vec<Promise> {
    vec![
        Promise::sometimes("two holders have a message each", |_, state| {
            state.holders.iter().all(|holder| holder.live)
        }),
        Promise::sometimes("a claimed message is in nobody's hands", |_, state| {
            let held = |id| state.holders.iter().any(|h| h.receipt.is_some_and(|r| r.id == id));
            state.server.pending.ahead.iter().any(|id| !held(*id))
        }),
        Promise::sometimes("two work on one message, one without a lease", |_, state| {
            let [one, other] = state.holders.map(|holder| holder.receipt);
            let same = one.zip(other).is_some_and(|(one, other)| one.id == other.id);
            same && state.holders.iter().any(|holder| holder.live)
        }),
        Promise::sometimes("a settling is late and the next delivery is out", |_, state| {
            late(state, |receipt| superseded(state, receipt))
        }),
        Promise::sometimes("a settling is on its way a second time", |_, state| {
            let idle = state.holders.iter().all(|holder| holder.call.is_none());
            idle && late(state, |receipt| known(state, receipt).out.is_none())
        }),
        Promise::sometimes("a claim arrives that nobody awaits", |_, state| {
            state.strays.contains(&Call::Claim) && !state.server.ready.is_empty()
        }),
        Promise::sometimes("an extension arrives after its delivery was settled", |_, state| {
            let over = |receipt: Receipt| known(state, receipt).out != Some(receipt.delivery);
            let late = |call: &Call| matches!(call, Call::Extend(receipt) if over(*receipt));
            state.strays.iter().any(late)
        }),
        Promise::sometimes("a message is spent", |_, state| {
            let spent = |id: &u8| state.server.line(*id).failures == MAX_ATTEMPTS;
            state.server.dead.iter().any(spent)
        }),
        Promise::sometimes("a message is buried before it is spent", |_, state| {
            state.server.dead.iter().any(|id| state.server.line(*id).failures < MAX_ATTEMPTS)
        }),
        Promise::sometimes("one message is settled and the other dead", |_, state| {
            let settled = state.known.iter().any(|known| known.lives > 0 && !known.owed);
            settled && state.drained() && !state.server.dead.is_empty()
        }),
        // What is not promised, and why: a push that is repeated after its message is gone makes it anew.
        Promise::sometimes("a repeated push makes a message anew", |_, state| {
            state.known.iter().any(|known| known.lives > 1)
        }),
        Promise::sometimes("a receipt outlives its message", |_, state| state.outlived),
    ]
}
