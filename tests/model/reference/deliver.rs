//! push and claim.

use super::{Message, Model, Place, due, number};
use crate::reply::Reply;

/// What a push says of one item.
enum Told {
    Placed(&'static str),
    /// A duplicate of this one.
    First(String),
    Full,
}

impl Model {
    pub(super) fn push(&mut self, argv: &[String]) -> Reply {
        let (mut told, mut earliest, mut rings) = (Vec::new(), None, false);
        for item in argv.chunks(4) {
            let [id, record, key, when] = item else { panic!("a push item is cut short") };
            let at = due(when, self.now());
            if let Some(first) = self.living(id, key) {
                told.push(Told::First(first));
                continue;
            }
            let place = if at <= self.now() { Place::Ready } else { Place::Scheduled(at) };
            if place == Place::Ready && self.is_full() {
                told.push(Told::Full);
                continue;
            }
            let key = Some(key.clone()).filter(|key| !key.is_empty());
            let message = Message { record: record.clone(), key, line: None, place };
            self.messages.insert(id.clone(), message);
            if place == Place::Ready {
                self.ready.push_back(id.clone());
                rings = true;
            } else {
                earliest = Some(earliest.map_or(at, |earlier: u64| earlier.min(at)));
            }
            told.push(Told::Placed(place.state()));
        }
        let pushed = told.iter().filter(|told| matches!(told, Told::Placed(_))).count();
        if pushed > 0 {
            self.layout = Some("1");
        }
        self.count("pushed", pushed);
        self.ring_alarm("scheduled", earliest);
        if rings {
            self.ring_bell();
        }
        let told = told.into_iter().map(|told| match told {
            Told::Placed(state) => Reply::text(state),
            Told::First(first) => {
                let state = self.state_of(&first);
                Reply::List(vec![Reply::text("duplicate"), Reply::text(first), Reply::text(state)])
            }
            Told::Full => {
                let cap = Reply::number(self.max_ready);
                Reply::List(vec![Reply::text("full"), Reply::text("max_ready"), cap])
            }
        });
        Reply::List(told.collect())
    }

    fn is_full(&self) -> bool {
        self.max_ready > 0 && self.ready.len() as u64 >= self.max_ready
    }

    /// The message that makes another with this id or this key a duplicate.
    fn living(&self, id: &str, key: &str) -> Option<String> {
        if self.messages.contains_key(id) {
            return Some(id.to_owned());
        }
        let same = |message: &Message| !key.is_empty() && message.key.as_deref() == Some(key);
        self.messages.iter().find(|(_, message)| same(message)).map(|(id, _)| id.clone())
    }

    pub(super) fn claim(&mut self, argv: &[String]) -> Reply {
        let [limit, bytes, lease] = [0, 1, 2].map(|at| number(&argv[at]));
        let deadline = self.now() + lease;
        if self.paused {
            return Reply::List(vec![Reply::text("paused"), Reply::text(deadline.to_string())]);
        }
        let (mut given, mut used) = (Vec::new(), 0);
        for _ in 0..limit {
            let Some(id) = self.ready.front() else { break };
            let size = self.messages[id].record.len() as u64;
            if used > 0 && used + size > bytes {
                break;
            }
            used += size;
            let id = self.ready.pop_front().unwrap();
            self.put(&id, Place::Pending(deadline));
            let message = &self.messages[&id];
            let (record, line) = (message.record.clone(), message.line_text());
            given.extend([id, record, line].map(Reply::text));
        }
        if !given.is_empty() {
            self.ring_alarm("pending", Some(deadline));
        }
        // Whoever comes next is woken now, or by the next message.
        self.bell = !self.ready.is_empty();
        let word = if self.ready.is_empty() { "empty" } else { "more" };
        let mut told = vec![Reply::text(word), Reply::text(deadline.to_string())];
        told.append(&mut given);
        Reply::List(told)
    }
}
