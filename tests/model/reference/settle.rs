//! What the holder of a receipt can do: ack, retry, bury, release, extend.

use std::collections::BTreeSet;

use super::{Line, Model, Place, number};
use crate::reply::Reply;

impl Model {
    fn holds(&self, id: &str, attempt: &str) -> bool {
        self.messages.get(id).is_some_and(|message| {
            matches!(message.place, Place::Pending(_)) && message.attempt().to_string() == attempt
        })
    }

    pub(super) fn ack(&mut self, argv: &[String]) -> Reply {
        let mut told = Vec::new();
        for item in argv.chunks(2) {
            let held = self.holds(&item[0], &item[1]);
            if held {
                self.messages.remove(&item[0]);
                self.count("acked", 1);
            }
            told.push(if held { "acked" } else { "lost" });
        }
        Reply::words(told)
    }

    pub(super) fn bury(&mut self, argv: &[String]) -> Reply {
        let mut told = Vec::new();
        for item in argv.chunks(3) {
            let held = self.holds(&item[0], &item[1]);
            if held {
                let now = self.now();
                self.settle(&item[0], &item[2], Place::Dead(now));
                self.count("buried", 1);
            }
            told.push(if held { "dead" } else { "lost" });
        }
        Reply::words(told)
    }

    pub(super) fn retry(&mut self, argv: &[String]) -> Reply {
        let (mut told, mut earliest) = (Vec::new(), None);
        for item in argv.chunks(4) {
            let [id, attempt, line, delay] = item else { panic!("a retry is cut short") };
            if !self.holds(id, attempt) {
                told.push("lost");
                continue;
            }
            let at = self.now() + number(delay);
            if Line::read(line).spent() {
                let now = self.now();
                self.settle(id, line, Place::Dead(now));
                self.count("died", 1);
            } else if at > self.now() {
                self.settle(id, line, Place::Scheduled(at));
                earliest = Some(earliest.map_or(at, |earlier: u64| earlier.min(at)));
                self.count("retried", 1);
            } else {
                self.settle(id, line, Place::Ready);
                self.ready.push_back(id.clone());
                self.ring_bell();
                self.count("retried", 1);
            }
            told.push(self.state_of(id));
        }
        self.ring_alarm("scheduled", earliest);
        Reply::words(told)
    }

    /// What was held goes back to the head, in the order of the call.
    pub(super) fn release(&mut self, argv: &[String]) -> Reply {
        let (mut told, mut earliest, mut back) = (Vec::new(), None, Vec::new());
        for item in argv.chunks(4) {
            let [id, attempt, line, delay] = item else { panic!("a release is cut short") };
            if !self.holds(id, attempt) {
                told.push("lost");
                continue;
            }
            let at = self.now() + number(delay);
            if at > self.now() {
                self.settle(id, line, Place::Scheduled(at));
                earliest = Some(earliest.map_or(at, |earlier: u64| earlier.min(at)));
            } else {
                self.settle(id, line, Place::Ready);
                back.push(id.clone());
            }
            self.count("released", 1);
            told.push(self.state_of(id));
        }
        self.ring_alarm("scheduled", earliest);
        if !back.is_empty() {
            self.ring_bell();
        }
        for id in back.into_iter().rev() {
            self.ready.push_front(id);
        }
        Reply::words(told)
    }

    pub(super) fn extend(&mut self, argv: &[String]) -> Reply {
        let (mut told, mut seen) = (Vec::new(), BTreeSet::new());
        for item in argv.chunks(3) {
            let [id, attempt, lease] = item else { panic!("an extension is cut short") };
            let held = self.holds(id, attempt) && seen.insert(id);
            if held {
                let until = self.messages[id].place.time().unwrap();
                self.put(id, Place::Pending(until.max(self.now() + number(lease))));
            }
            told.push(if held { "extended" } else { "lost" });
        }
        Reply::words(told)
    }

    fn settle(&mut self, id: &str, line: &str, place: Place) {
        self.messages.get_mut(id).unwrap().line = Some(Line::read(line));
        self.put(id, place);
    }
}
