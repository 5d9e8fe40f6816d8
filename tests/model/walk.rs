//! The walk through the model: a step becomes a call, and the model says what it has to do.

use std::thread_local;

use proptest::prelude::{BoxedStrategy, Just, Strategy as _};
use proptest_state_machine::ReferenceStateMachine;

use crate::reference::Model;
use crate::reply::Reply;
use crate::step::{Item, Moment, Receipt, Settling, Step, When, Who, steps};

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) argv: Vec<String>,
}

/// What the last step was, and what has to come of it.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    Nothing,
    Flushed,
    /// A reader took what was in the bell or the alarm, if anything.
    Took(&'static str),
    Called(Call, Reply),
}

#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) model: Model,
    pub(crate) done: Done,
    minted: Vec<String>,
    /// Every receipt that was ever handed out: id and attempt.
    receipts: Vec<(String, String)>,
    calls: Vec<Call>,
}

/// Verbs whose last argument has a form.
const SPOILT: [&str; 12] = [
    "push",
    "claim",
    "retry",
    "bury",
    "release",
    "extend",
    "redeliver",
    "reschedule",
    "limit",
    "trim",
    "peek",
    "check",
];

impl ReferenceStateMachine for Walk {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let mut model = Model::default();
        model.budget = crate::real::budget().unwrap_or(model.budget);
        let (minted, receipts, calls) = (Vec::new(), Vec::new(), Vec::new());
        Just(Self { model, done: Done::Nothing, minted, receipts, calls }).boxed()
    }

    fn transitions(walk: &Self) -> BoxedStrategy<Step> {
        thread_local! {
            static STEPS: Vec<BoxedStrategy<Step>> =
                (0..8).map(|bits| steps(bits & 1 > 0, bits & 2 > 0, bits & 4 > 0)).collect();
        }
        let any = |state| usize::from(walk.model.head(state).is_some());
        let live = usize::from(!walk.model.messages.is_empty());
        STEPS.with(|steps| steps[live + 2 * any("pending") + 4 * any("dead")].clone())
    }

    fn apply(mut walk: Self, step: &Step) -> Self {
        walk.done = match step {
            Step::Advance(by) => walk.move_clock(walk.model.now_us.saturating_add_signed(*by)),
            Step::AdvanceTo(state, over) => match walk.model.head(state) {
                Some(at) => walk.move_clock((at * 1000).saturating_add_signed(*over)),
                None => Done::Nothing,
            },
            Step::TakeBell => {
                walk.model.bell = false;
                Done::Took("bell")
            }
            Step::TakeAlarm => {
                walk.model.alarm = false;
                Done::Took("alarm")
            }
            Step::Flush => Done::Flushed,
            Step::Replay(back) => match walk.calls.len() {
                0 => Done::Nothing,
                made => walk.call(walk.calls[made - 1 - usize::from(*back) % made].clone()),
            },
            Step::Spoil(back, last) => walk.spoil(usize::from(*back), *last),
            call => {
                let call = walk.resolve(call);
                walk.calls.push(call.clone());
                walk.call(call)
            }
        };
        walk
    }
}

fn pick<T>(from: &[T], index: usize) -> Option<&T> {
    from.get(index % from.len().max(1))
}

impl Walk {
    fn move_clock(&mut self, to: u64) -> Done {
        self.model.now_us = to;
        Done::Nothing
    }

    fn call(&mut self, call: Call) -> Done {
        let reply = self.model.call(call.verb, &call.argv);
        if call.verb == "claim" {
            for given in reply.items().get(2..).unwrap_or_default().chunks(3) {
                let Reply::Text(id) = &given[0] else { panic!("an id is text") };
                self.receipts.push((id.clone(), self.attempt(id)));
            }
        }
        Done::Called(call, reply)
    }

    /// A call that has to be refused, whatever stands before its last argument.
    fn spoil(&self, back: usize, last: Option<&'static str>) -> Done {
        let spoils = |call: &&Call| match call.verb {
            "ack" => last.is_none(),
            verb => SPOILT.contains(&verb),
        };
        let Some(mut call) = self.calls.iter().rev().filter(spoils).nth(back).cloned() else {
            return Done::Nothing;
        };
        call.argv.pop();
        call.argv.extend(last.map(str::to_owned));
        Done::Called(call, Reply::Fault("BADARG".to_owned()))
    }

    fn attempt(&self, id: &str) -> String {
        self.model.messages.get(id).map_or(1, crate::reference::Message::attempt).to_string()
    }

    fn resolve(&mut self, step: &Step) -> Call {
        let texts = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>();
        let (verb, argv) = match step {
            Step::Push(items) => ("push", self.push(items)),
            Step::Claim { limit, bytes, lease } => ("claim", texts(&[*limit, *bytes, *lease])),
            Step::Settle(verb, items) => (*verb, self.settle(verb, items)),
            Step::Redeliver { limit, poller } => {
                ("redeliver", vec![limit.to_string(), (*poller).to_owned()])
            }
            Step::ById(verb, named) => (*verb, self.ids(named)),
            Step::Reschedule(items) => {
                let ids = self.ids(&items.iter().map(|(who, _)| *who).collect::<Vec<_>>());
                let dues = items.iter().map(|(_, when)| self.due(*when));
                ("reschedule", ids.into_iter().zip(dues).flat_map(|(id, due)| [id, due]).collect())
            }
            Step::Letters { verb, limit, before, named } => {
                let mut argv = texts(&[*limit, self.moment(*before)]);
                argv.extend(self.ids(named));
                (*verb, argv)
            }
            Step::Steer(expected, text, limit, before, named) => {
                let mut argv = vec![(*expected).to_owned(), (*text).to_owned()];
                argv.extend(texts(&[*limit, self.moment(*before)]));
                argv.extend(self.ids(named));
                ("steer", argv)
            }
            Step::Trim { limit, age, entries } => {
                let age = self.model.now().saturating_sub(self.moment(*age));
                ("trim", texts(&[*limit, age, *entries]))
            }
            Step::Page { verb, state, start, limit, bytes } => {
                let mut argv = vec![(*state).to_owned()];
                argv.extend(texts(&[*start, *limit]));
                argv.extend((*verb == "peek").then(|| bytes.to_string()));
                (*verb, argv)
            }
            Step::CheckOne(place, who) => {
                ("check", vec![(*place).to_owned(), self.id(*who, 0, None), "1".to_owned()])
            }
            Step::Limit(cap) => ("limit", vec![(*cap).to_owned(), String::new()]),
            Step::Plain(verb) => (*verb, Vec::new()),
            other => panic!("{other:?} is no call"),
        };
        Call { verb, argv }
    }

    /// Ids do not come in the order of their pushes, so that ties show.
    fn mint(&mut self) -> String {
        let number = self.minted.len();
        let id = format!("{:02x}-{number}", number * 167 % 256);
        self.minted.push(id.clone());
        id
    }

    /// As the item of a call that has this position.
    fn id(&self, who: Who, at: usize, before: Option<&String>) -> String {
        let found = match who {
            Who::In(state, index) => {
                pick(&self.model.ids_in(state), usize::from(index) + at).cloned()
            }
            Who::Any(index) => pick(&self.minted, usize::from(index)).cloned(),
            Who::Again => before.cloned(),
            Who::Nobody => None,
        };
        found.unwrap_or_else(|| "nobody".to_owned())
    }

    fn ids(&self, named: &[Who]) -> Vec<String> {
        let mut ids = Vec::new();
        for who in named {
            ids.push(self.id(*who, ids.len(), ids.last()));
        }
        ids
    }

    fn due(&self, when: When) -> String {
        match when {
            When::In(ms) => ms.to_string(),
            When::At(offset) => format!("@{}", self.model.now().saturating_add_signed(offset)),
        }
    }

    fn moment(&self, moment: Moment) -> u64 {
        let dead = self.model.timed("dead");
        match moment {
            Moment::Always => 9_000_000_000_000,
            Moment::Now => self.model.now(),
            Moment::Death(index, later) => pick(&dead, usize::from(index))
                .map_or(0, |(at, _)| *at)
                .saturating_add_signed(later),
        }
    }

    fn push(&mut self, items: &[Item]) -> Vec<String> {
        let (mut argv, mut before) = (Vec::new(), None);
        for item in items {
            let id = match item.who {
                Some(who) => self.id(who, 0, before.as_ref()),
                None => self.mint(),
            };
            let record = format!("{}\n\n{}", item.max, "p".repeat(item.size));
            argv.extend([id.clone(), record, item.key.to_owned(), self.due(item.when)]);
            before = Some(id);
        }
        argv
    }

    fn receipt(
        &self,
        receipt: Receipt,
        at: usize,
        before: Option<&(String, String)>,
    ) -> (String, String) {
        let now = |id: String| {
            let attempt = self.attempt(&id);
            (id, attempt)
        };
        let pending = |index| self.id(Who::In("pending", index), at, None);
        match receipt {
            Receipt::Right(index) => now(pending(index)),
            Receipt::Of(who) => now(self.id(who, at, None)),
            Receipt::Early(index) => {
                let (id, attempt) = now(pending(index));
                (id, (attempt.parse::<u64>().unwrap() + 1).to_string())
            }
            Receipt::Crossed(one, other) => (pending(one), now(pending(other)).1),
            Receipt::Old(index) => pick(&self.receipts, usize::from(index))
                .cloned()
                .unwrap_or_else(|| now(pending(index))),
            Receipt::Again => before.cloned().unwrap_or_else(|| now(pending(0))),
        }
    }

    fn settle(&self, verb: &str, items: &[Settling]) -> Vec<String> {
        let (mut argv, mut before) = (Vec::new(), None);
        for (at, item) in items.iter().enumerate() {
            let (id, attempt) = self.receipt(item.receipt, at, before.as_ref());
            let line = format!("{attempt} {} {} {}", item.failures, item.max, item.history);
            let line = line.trim_end().to_owned();
            argv.extend([id.clone(), attempt.clone()]);
            match verb {
                "ack" => {}
                "bury" => argv.push(line),
                "extend" => argv.push(item.ms.to_string()),
                _ => argv.extend([line, item.ms.to_string()]),
            }
            before = Some((id, attempt));
        }
        argv
    }
}
