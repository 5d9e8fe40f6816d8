//! push and claim.

use super::{Message, Model, Place, due, number};
use crate::reply::Reply;

impl Model {
    pub(super) fn push(&mut self, argv: &[String]) -> Reply {
        let (mut firsts, mut earliest, mut rings) = (Vec::new(), None, false);
        for item in argv.chunks(4) {
            let [id, record, key, when] = item else { panic!("a push item is cut short") };
            let at = due(when, self.now());
            if let Some(first) = self.living(id, key) {
                firsts.push(Err(first));
                continue;
            }
            let place = if at <= self.now() { Place::Ready } else { Place::Scheduled(at) };
            let key = Some(key.clone()).filter(|key| !key.is_empty());
            let message = Message { record: record.clone(), key, line: None, place };
            self.messages.insert(id.clone(), message);
            if place == Place::Ready {
                self.ready.push_back(id.clone());
                rings = true;
            } else {
                earliest = Some(earliest.map_or(at, |earlier: u64| earlier.min(at)));
            }
            firsts.push(Ok(place.state()));
        }
        let pushed = firsts.iter().filter(|first| first.is_ok()).count();
        if pushed > 0 {
            self.layout = Some("1");
        }
        self.count("pushed", pushed);
        self.ring_alarm("scheduled", earliest);
        if rings {
            self.ring_bell();
        }
        let told = firsts.into_iter().map(|first| match first {
            Ok(state) => Reply::text(state),
            Err(first) => {
                let state = self.state_of(&first);
                Reply::List(vec![Reply::text("duplicate"), Reply::text(first), Reply::text(state)])
            }
        });
        Reply::List(told.collect())
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
