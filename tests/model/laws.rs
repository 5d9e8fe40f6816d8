//! What holds after every step by itself, whatever the model says: read from the server alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::reference::{MAX_IDLE_MS, Snapshot};
use crate::reply::Reply;
use crate::walk::{Call, Done};

/// What the laws have to remember of the steps before.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    before: Snapshot,
    /// A reader took the bell's token and has not claimed since.
    in_hand: bool,
    /// The deadline that pollers were last told to watch, and who was.
    told: Option<(u64, BTreeSet<String>)>,
    /// Receipts that settled, of the messages that live.
    settled: BTreeSet<(String, String)>,
}

impl Laws {
    pub(crate) fn hold(&mut self, now_us: u64, done: &Done, after: &Snapshot) {
        conserved(after);
        self.rings(done, after);
        self.attempts_rise(after);
        if let Done::Called(call, reply @ (Reply::List(_) | Reply::Number(_))) = done {
            self.near_times_alarm(now_us / 1000, call, after);
            self.one_settles(call, reply);
            match call.verb {
                "redeliver" => self.three_watch(now_us, call, reply, after),
                "destroy" => self.told = None,
                _ => {}
            }
        }
        let lives = |(id, _): &(String, String)| after.messages.contains_key(id);
        self.settled.retain(lives);
        self.before = after.clone();
    }

    /// While something can be claimed, the bell holds a token, or a reader that took it is about to
    /// claim. A reader that dies in between costs time only.
    fn rings(&mut self, done: &Done, after: &Snapshot) {
        let paused = after.meta.contains_key("paused");
        match done {
            Done::Took("bell") => self.in_hand |= self.before.bell > 0,
            Done::Called(_, Reply::Fault(_)) => {}
            Done::Called(call, _) if call.verb == "claim" && !paused => self.in_hand = false,
            Done::Called(call, _) if call.verb == "resume" => self.in_hand = false,
            _ => {}
        }
        let told = paused || after.ready.is_empty() || after.bell > 0;
        assert!(told || self.in_hand, "messages are ready and no bell rings");
        self.in_hand &= !told || paused;
        assert!(after.bell <= 1 && after.alarm <= 1, "the bell and the alarm hold one token each");
    }

    /// A time that a call sets, earliest of its set and nearer than any poller sleeps.
    fn near_times_alarm(&self, now: u64, call: &Call, after: &Snapshot) {
        if !["push", "claim", "retry", "release", "reschedule"].contains(&call.verb) {
            return;
        }
        for (before, after_set) in self.before.timed.iter().zip(&after.timed).take(2) {
            let earliest = after_set.first().map(|(at, _)| *at);
            let new = |timed: &&(u64, String)| !before.contains(timed);
            let set = after_set.iter().filter(new).map(|(at, _)| *at);
            for at in set.filter(|at| Some(*at) == earliest && at - now < MAX_IDLE_MS) {
                assert_eq!(after.alarm, 1, "{at} is the earliest and no alarm rings");
            }
        }
    }

    fn three_watch(&mut self, now_us: u64, call: &Call, reply: &Reply, after: &Snapshot) {
        let [.., Reply::Number(more), Reply::Number(wait)] = reply.items() else {
            panic!("{reply:?} does not say when to look again")
        };
        let wait = u64::try_from(*wait).unwrap();
        let due = |timed: &&(u64, String)| timed.0 <= now_us / 1000;
        let left = after.timed[..2].iter().flatten().filter(due).count();
        assert_eq!(left > 0, *more == 1, "what is due is told");
        assert!(wait <= MAX_IDLE_MS * 1000, "nobody sleeps longer");
        if *more == 1 || wait == MAX_IDLE_MS * 1000 || call.argv[1].is_empty() {
            return;
        }
        let at = now_us + wait;
        let watchers = match self.told.take() {
            Some((watched, names)) if watched == at => names,
            _ => BTreeSet::new(),
        };
        let (_, watchers) = self.told.insert((at, watchers));
        watchers.insert(call.argv[1].clone());
        assert!(watchers.len() <= 3, "{watchers:?} watch one deadline");
    }

    /// DELIVERIES rises by one when a message leaves pending, and never otherwise.
    fn attempts_rise(&self, after: &Snapshot) {
        let deliveries = |of: &Snapshot, id: &str| {
            let line = of.attempts.get(id).map_or("0", String::as_str);
            line.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        let still: BTreeSet<&str> = after.timed[1].iter().map(|(_, id)| id.as_str()).collect();
        for (_, id) in &self.before.timed[1] {
            if after.messages.contains_key(id) {
                let left = u64::from(!still.contains(id.as_str()));
                assert_eq!(deliveries(after, id), deliveries(&self.before, id) + left, "{id}");
            }
        }
        let pending: BTreeSet<&str> =
            self.before.timed[1].iter().map(|(_, id)| id.as_str()).collect();
        for id in self.before.messages.keys().filter(|id| !pending.contains(id.as_str())) {
            if after.messages.contains_key(id) {
                assert_eq!(deliveries(after, id), deliveries(&self.before, id), "{id}");
            }
        }
    }

    /// A receipt settles once in the life of its record.
    fn one_settles(&mut self, call: &Call, reply: &Reply) {
        let stride = match call.verb {
            "ack" => 2,
            "bury" => 3,
            "retry" | "release" => 4,
            _ => return,
        };
        for (item, outcome) in call.argv.chunks(stride).zip(reply.items()) {
            if *outcome != Reply::text("lost") {
                let receipt = (item[0].clone(), item[1].clone());
                assert!(self.settled.insert(receipt), "{item:?} has settled twice");
            }
        }
    }
}

/// Every message is in exactly one place, and every push is accounted for.
fn conserved(after: &Snapshot) {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let timed = after.timed.iter().flatten().map(|(_, id)| id);
    for id in after.ready.iter().chain(timed) {
        *places.entry(id).or_default() += 1;
    }
    assert!(places.values().all(|count| *count == 1), "a message is in two places");
    assert!(places.keys().copied().eq(after.messages.keys().map(String::as_str)), "the law");
    let count =
        |name: &str| -> u64 { after.meta.get(name).map_or(0, |text| text.parse().unwrap()) };
    let gone =
        ["acked", "cancelled", "purged", "trimmed", "vanished"].map(count).iter().sum::<u64>();
    assert_eq!(count("pushed"), after.messages.len() as u64 + gone, "the counters");
}
