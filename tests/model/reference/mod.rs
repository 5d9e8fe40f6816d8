//! The reference queue: what the scripts promise, in plain Rust, without Redis.
//!
//! A message knows its own place, so nothing can be in two places here. Every verb takes the ARGV of
//! its script, so that any call can be made again word by word.

mod by_id;
mod deliver;
mod letters;
mod look;
mod redeliver;
mod settle;
mod snapshot;

use std::collections::{BTreeMap, VecDeque};

use crate::reply::Reply;
pub(crate) use snapshot::Snapshot;

/// Later than this, nobody is woken: every poller looks in time anyway.
pub(crate) const MAX_IDLE_MS: u64 = 5000;
pub(crate) const STATES: [&str; 4] = ["ready", "scheduled", "pending", "dead"];
/// Where the clock of each walk begins.
const EPOCH_US: u64 = 1_700_000_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Ready,
    /// Due at this ms.
    Scheduled(u64),
    /// Under a lease until this ms.
    Pending(u64),
    /// Since this ms.
    Dead(u64),
}

impl Place {
    pub(crate) fn state(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Scheduled(_) => "scheduled",
            Self::Pending(_) => "pending",
            Self::Dead(_) => "dead",
        }
    }

    pub(crate) fn time(self) -> Option<u64> {
        match self {
            Self::Ready => None,
            Self::Scheduled(at) | Self::Pending(at) | Self::Dead(at) => Some(at),
        }
    }
}

/// What is known of a message that came back at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) deliveries: u64,
    pub(crate) failures: u64,
    pub(crate) max: u64,
    pub(crate) history: Option<String>,
}

impl Line {
    pub(crate) fn read(text: &str) -> Self {
        let mut parts = text.splitn(4, ' ');
        let mut number = || parts.next().unwrap().parse().unwrap();
        let (deliveries, failures, max) = (number(), number(), number());
        Self { deliveries, failures, max, history: parts.next().map(str::to_owned) }
    }

    pub(crate) fn spent(&self) -> bool {
        self.max != 0 && self.max <= self.failures
    }

    pub(crate) fn text(&self) -> String {
        let Self { deliveries, failures, max, history } = self;
        let history = history.as_ref().map_or_else(String::new, |history| format!(" {history}"));
        format!("{deliveries} {failures} {max}{history}")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) record: String,
    pub(crate) key: Option<String>,
    pub(crate) line: Option<Line>,
    pub(crate) place: Place,
}

impl Message {
    pub(crate) fn attempt(&self) -> u64 {
        self.line.as_ref().map_or(0, |line| line.deliveries) + 1
    }

    fn line_text(&self) -> String {
        self.line.as_ref().map_or_else(String::new, Line::text)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now_us: u64,
    pub(crate) ready: VecDeque<String>,
    pub(crate) messages: BTreeMap<String, Message>,
    pub(crate) bell: bool,
    pub(crate) alarm: bool,
    paused: bool,
    /// The cap on ready; 0 = none.
    max_ready: u64,
    /// The text of the redrive task, empty if there is none.
    task: String,
    /// What the first push sets.
    layout: Option<&'static str>,
    counters: BTreeMap<&'static str, u64>,
    /// The deadline that is watched, and by whom.
    watch: Option<(u64, Vec<String>)>,
    /// Bytes of records that one redelivery reads.
    pub(crate) budget: usize,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            now_us: EPOCH_US,
            ready: VecDeque::new(),
            messages: BTreeMap::new(),
            bell: false,
            alarm: false,
            paused: false,
            max_ready: 0,
            task: String::new(),
            layout: None,
            counters: BTreeMap::new(),
            watch: None,
            budget: 2 * 1024 * 1024,
        }
    }
}

impl Model {
    /// Any verb, with the ARGV of its script.
    pub(crate) fn call(&mut self, verb: &str, argv: &[String]) -> Reply {
        match verb {
            "push" => self.push(argv),
            "claim" => self.claim(argv),
            "ack" => self.ack(argv),
            "retry" => self.retry(argv),
            "bury" => self.bury(argv),
            "release" => self.release(argv),
            "extend" => self.extend(argv),
            "redeliver" => self.redeliver(argv),
            "cancel" => self.cancel(argv),
            "reschedule" => self.reschedule(argv),
            "redrive" => self.redrive(argv),
            "purge" => self.purge(argv),
            "steer" => self.steer(argv),
            "trim" => self.trim(argv),
            "limit" => self.limit(argv),
            "pause" => self.pause(),
            "resume" => self.resume(),
            "repair" => self.repair(argv),
            "destroy" => self.destroy(),
            _ => self.look(verb, argv),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now_us / 1000
    }

    /// The ids of a sorted state with their times, earliest first, equal times by id.
    pub(crate) fn timed(&self, state: &str) -> Vec<(u64, String)> {
        let here = self.messages.iter().filter(|(_, message)| message.place.state() == state);
        let timed = here.filter_map(|(id, message)| Some((message.place.time()?, id.clone())));
        let mut timed: Vec<_> = timed.collect();
        timed.sort();
        timed
    }

    pub(crate) fn head(&self, state: &str) -> Option<u64> {
        self.timed(state).first().map(|(at, _)| *at)
    }

    pub(crate) fn ids_in(&self, state: &str) -> Vec<String> {
        if state == "ready" {
            return self.ready.iter().cloned().collect();
        }
        self.timed(state).into_iter().map(|(_, id)| id).collect()
    }

    fn count(&mut self, counter: &'static str, by: usize) {
        if by > 0 {
            *self.counters.entry(counter).or_default() += by as u64;
        }
    }

    fn state_of(&self, id: &str) -> &'static str {
        self.messages.get(id).map_or("missing", |message| message.place.state())
    }

    fn put(&mut self, id: &str, place: Place) {
        self.messages.get_mut(id).unwrap().place = place;
    }

    fn append(&mut self, id: &str) {
        self.put(id, Place::Ready);
        self.ready.push_back(id.to_owned());
    }

    fn ring_bell(&mut self) {
        self.bell |= !self.paused;
    }

    /// For the earliest of the times that a call has set in this state.
    fn ring_alarm(&mut self, state: &str, set: Option<u64>) {
        if let Some(at) = set {
            self.alarm |= at - self.now() < MAX_IDLE_MS && self.head(state) == Some(at);
        }
    }

    fn limit(&mut self, argv: &[String]) -> Reply {
        if !argv[0].is_empty() {
            self.max_ready = number(&argv[0]);
        }
        Reply::List(vec![Reply::number(self.max_ready), Reply::number(0)])
    }

    fn pause(&mut self) -> Reply {
        self.paused = true;
        Reply::text("paused")
    }

    fn resume(&mut self) -> Reply {
        self.paused = false;
        if !self.ready.is_empty() {
            self.ring_bell();
        }
        Reply::text("resumed")
    }

    /// Nothing is ever damaged here, but a reader may have died with the bell's token.
    fn repair(&mut self, argv: &[String]) -> Reply {
        let silent = self.silent();
        if argv.is_empty() && !silent.is_empty() {
            self.ring_bell();
            return Reply::List(silent);
        }
        Reply::List(Vec::new())
    }

    /// The head of ready, when it waits and no bell rings.
    fn silent(&self) -> Vec<Reply> {
        let head = self.ready.front().filter(|_| !self.bell && !self.paused);
        head.map_or(Vec::new(), |id| vec![Reply::text(id), Reply::text("lost_bell")])
    }

    fn destroy(&mut self) -> Reply {
        let gone = Reply::number(self.messages.len());
        *self = Self { now_us: self.now_us, budget: self.budget, ..Self::default() };
        gone
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// A delay in ms, or `@` and the absolute ms.
fn due(text: &str, now: u64) -> u64 {
    text.strip_prefix('@').map_or_else(|| now + number(text), number)
}
