//! By id, wherever the message is: cancel, reschedule.

use std::collections::BTreeSet;

use super::{Model, Place, due};
use crate::reply::Reply;

impl Model {
    pub(super) fn cancel(&mut self, argv: &[String]) -> Reply {
        let (mut told, mut seen, mut walked) = (Vec::new(), BTreeSet::new(), false);
        for id in argv {
            let state = if seen.insert(id) { self.state_of(id) } else { "missing" };
            told.push(match state {
                "missing" => "missing",
                // One walk through the ready list is enough for one call.
                "ready" if walked => "deferred",
                _ => {
                    walked |= state == "ready";
                    self.ready.retain(|other| other != id);
                    self.messages.remove(id);
                    self.count("cancelled", 1);
                    "cancelled"
                }
            });
        }
        Reply::words(told)
    }

    pub(super) fn reschedule(&mut self, argv: &[String]) -> Reply {
        let (mut told, mut seen, mut walked) = (Vec::new(), BTreeSet::new(), false);
        let mut earliest: Option<u64> = None;
        for item in argv.chunks(2) {
            let (id, at) = (&item[0], due(&item[1], self.now()));
            let state = if seen.insert(id) { self.state_of(id) } else { "missing" };
            let waits = state == "ready" || state == "scheduled";
            told.push(match state {
                "ready" if at > self.now() && walked => "deferred",
                _ if waits && at > self.now() => {
                    walked |= state == "ready";
                    self.ready.retain(|other| other != id);
                    self.put(id, Place::Scheduled(at));
                    earliest = Some(earliest.map_or(at, |earlier| earlier.min(at)));
                    "scheduled"
                }
                "scheduled" => {
                    self.append(id);
                    self.ring_bell();
                    "ready"
                }
                unchanged => unchanged,
            });
        }
        self.ring_alarm("scheduled", earliest);
        Reply::words(told)
    }
}
