//! What comes back by time, and when to look again.

use super::{Line, MAX_IDLE_MS, Model, Place, number};
use crate::reply::Reply;

/// Records are read in pages of this many.
const PAGE: usize = 16;

impl Model {
    pub(super) fn redeliver(&mut self, argv: &[String]) -> Reply {
        let (limit, now) = (usize::try_from(number(&argv[0])).unwrap(), self.now());
        let until_now = |timed: Vec<(u64, String)>| -> Vec<String> {
            let due = timed.into_iter().filter(|(at, _)| *at <= now).take(limit);
            due.map(|(_, id)| id).collect()
        };
        let due = until_now(self.timed("scheduled"));
        let mut overdue = until_now(self.timed("pending"));
        overdue.truncate(self.readable(&overdue));
        for id in &due {
            self.append(id);
        }
        let mut died = 0;
        for id in &overdue {
            let line = self.failed(id);
            let spent = line.spent();
            self.messages.get_mut(id).unwrap().line = Some(line);
            if spent {
                died += 1;
                self.put(id, Place::Dead(now));
            } else {
                self.append(id);
            }
        }
        let back = overdue.len() - died;
        self.count("promoted", due.len());
        self.count("reclaimed", back);
        self.count("died", died);

        let next = self.head("scheduled").into_iter().chain(self.head("pending")).min();
        let more = next.is_some_and(|at| at <= now);
        let near = next.filter(|at| *at > now && at - now < MAX_IDLE_MS);
        let unwatched = near.is_some_and(|at| !self.is_watched(at)) || argv[1].is_empty();
        let watched = near.filter(|at| self.watches(*at, &argv[1]));
        // The second and third watcher look in vain: the first one has rung the bell.
        let looks = !due.is_empty() || !overdue.is_empty() || watched.is_none() || unwatched;
        if looks && !self.ready.is_empty() {
            self.ring_bell();
        }
        let idle = watched.map_or(MAX_IDLE_MS * 1000, |at| at * 1000 - self.now_us);
        let wait = if more { 0 } else { idle };
        let counted = [due.len(), back, died, 0, usize::from(more)].map(Reply::number);
        let mut told = counted.to_vec();
        told.push(Reply::number(wait));
        Reply::List(told)
    }

    /// How many of the overdue can be judged: whoever has no line needs its record read, and those
    /// are read page by page until the budget is gone: one first, then as many as have room if each
    /// is as long as the longest so far.
    fn readable(&self, overdue: &[String]) -> usize {
        let unread = |at: &usize| self.messages[&overdue[*at]].line.is_none();
        let unread: Vec<usize> = (0..overdue.len()).filter(unread).collect();
        let (mut left, mut page, mut longest) = (self.budget, 1, 1);
        let mut rest = &unread[..];
        while let Some(first) = rest.first() {
            if left == 0 {
                return *first;
            }
            let (read, later) = rest.split_at(page.min(rest.len()));
            for at in read {
                let length = self.messages[&overdue[*at]].record.len();
                (left, longest) = (left.saturating_sub(length), longest.max(length));
            }
            (rest, page) = (later, (left / longest).clamp(1, PAGE));
        }
        overdue.len()
    }

    fn failed(&self, id: &str) -> Line {
        let message = &self.messages[id];
        let first = || {
            let line = message.record.split('\n').next().unwrap();
            let max = line.parse().unwrap_or(0).min(u64::from(u32::MAX));
            Line { deliveries: 0, failures: 0, max, history: None }
        };
        let line = message.line.clone().unwrap_or_else(first);
        Line { deliveries: line.deliveries + 1, failures: line.failures + 1, ..line }
    }

    fn is_watched(&self, at: u64) -> bool {
        self.watch.as_ref().is_some_and(|(watched, names)| *watched == at && !names.is_empty())
    }

    /// Whether this poller is one of the first three to hear of this deadline.
    fn watches(&mut self, at: u64, poller: &str) -> bool {
        if poller.is_empty() {
            return true;
        }
        let watching = self.watch.take().filter(|(watched, _)| *watched == at);
        let mut names = watching.map_or_else(Vec::new, |(_, names)| names);
        let mut told = names.iter().any(|name| name == poller);
        if !told && names.len() < 3 {
            names.push(poller.to_owned());
            told = true;
        }
        self.watch = Some((at, names));
        told
    }
}
