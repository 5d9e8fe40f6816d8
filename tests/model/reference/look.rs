//! What changes nothing: peek, find, counts, check.

use super::{Model, STATES, number};
use crate::reply::Reply;

pub(crate) const COUNTERS: [&str; 14] = [
    "pushed",
    "acked",
    "retried",
    "released",
    "buried",
    "promoted",
    "reclaimed",
    "died",
    "cancelled",
    "redriven",
    "purged",
    "trimmed",
    "ghosts",
    "vanished",
];

impl Model {
    pub(super) fn look(&self, verb: &str, argv: &[String]) -> Reply {
        match verb {
            "peek" => self.peek(argv),
            "find" => Reply::List(argv.iter().map(|id| self.found(id)).collect()),
            "counts" => self.counts(),
            "check" => self.check(argv),
            other => panic!("there is no verb {other}"),
        }
    }

    fn time_text(&self, id: &str) -> String {
        let time = self.messages.get(id).and_then(|message| message.place.time());
        time.map_or_else(String::new, |time| time.to_string())
    }

    fn found(&self, id: &str) -> Reply {
        let message = self.messages.get(id);
        let record = message.map_or_else(String::new, |message| message.record.clone());
        let line = message.map_or_else(String::new, super::Message::line_text);
        let state = self.state_of(id).to_owned();
        Reply::List([state, self.time_text(id), record, line].map(Reply::text).to_vec())
    }

    fn peek(&self, argv: &[String]) -> Reply {
        let ids = self.ids_in(&argv[0]);
        let [start, limit, bytes] = [1, 2, 3].map(|at| usize::try_from(number(&argv[at])).unwrap());
        let (mut told, mut used, mut shown) = (vec![Reply::number(0)], 0, 0);
        for id in ids.iter().skip(start).take(limit) {
            let message = &self.messages[id];
            used += message.record.len();
            if used > bytes && shown > 0 {
                break;
            }
            shown += 1;
            let parts = [id.clone(), self.time_text(id), message.record.clone()];
            told.extend(parts.map(Reply::text));
            told.push(Reply::text(message.line_text()));
        }
        if start + shown < ids.len() {
            told[0] = Reply::number(start + shown);
        }
        Reply::List(told)
    }

    fn counts(&self) -> Reply {
        let mut told = Vec::new();
        let mut tell = |name: &str, value: Reply| told.extend([Reply::text(name), value]);
        for name in COUNTERS {
            tell(name, Reply::number(self.counters.get(name).copied().unwrap_or(0)));
        }
        for state in STATES {
            tell(state, Reply::number(self.ids_in(state).len()));
        }
        tell("messages", Reply::number(self.messages.len()));
        tell("now", Reply::number(self.now()));
        tell("paused", Reply::number(u64::from(self.paused)));
        tell("max_ready", Reply::number(self.max_ready));
        tell("max_bytes", Reply::number(0));
        let heads =
            [("next_due", "scheduled"), ("next_deadline", "pending"), ("oldest_dead", "dead")];
        for (name, state) in heads {
            tell(name, Reply::number(self.head(state).unwrap_or(0)));
        }
        tell("ready_head", Reply::text(self.ready.front().cloned().unwrap_or_default()));
        Reply::List(told)
    }

    /// Nothing is ever damaged here: only ready messages are told, since they are proven by pairs.
    fn check(&self, argv: &[String]) -> Reply {
        let place = argv[0].as_str();
        let [start, limit] = [1, 2].map(|at| argv[at].parse::<usize>().ok().unwrap_or_default());
        let (next, seen, told) = match place {
            "one" | "near" => {
                let id = &argv[1];
                let finding = if self.messages.contains_key(id) { "placed" } else { "gone" };
                (0, 1, vec![Reply::text(id), Reply::text(finding)])
            }
            "types" => (0, 0, Vec::new()),
            "queue" => (0, 0, self.silent()),
            "keyed" => {
                let keyed = self.messages.values().filter(|message| message.key.is_some());
                (0, 2 * keyed.count(), Vec::new())
            }
            "attempts" => {
                let came_back = self.messages.values().filter(|message| message.line.is_some());
                (0, came_back.count(), Vec::new())
            }
            "ready" => {
                let stop = if start == 0 { self.ready.len() } else { start.min(self.ready.len()) };
                let next = stop.saturating_sub(limit);
                let page = self.ready.iter().take(stop).skip(next);
                let told = page.flat_map(|id| [Reply::text(id), Reply::text("listed")]);
                (next, stop - next, told.collect())
            }
            state => (0, self.ids_in(state).len(), Vec::new()),
        };
        let head = [Reply::text(next.to_string()), Reply::number(seen)];
        Reply::List(head.into_iter().chain(told).collect())
    }
}
