//! All that the ten keys hold.

use std::collections::BTreeMap;

use super::{Line, Model};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) ready: Vec<String>,
    /// Scheduled, pending, dead, each in its order.
    pub(crate) timed: [Vec<(u64, String)>; 3],
    pub(crate) messages: BTreeMap<String, String>,
    pub(crate) attempts: BTreeMap<String, String>,
    pub(crate) keyed: BTreeMap<String, String>,
    pub(crate) bell: usize,
    pub(crate) alarm: usize,
    pub(crate) meta: BTreeMap<String, String>,
}

impl Model {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut keyed = BTreeMap::new();
        for (id, message) in &self.messages {
            if let Some(key) = &message.key {
                keyed.insert(id.clone(), key.clone());
                keyed.insert(format!("={key}"), id.clone());
            }
        }
        let record =
            |(id, message): (&String, &super::Message)| (id.clone(), message.record.clone());
        let line = |(id, message): (&String, &super::Message)| {
            Some((id.clone(), message.line.as_ref().map(Line::text)?))
        };
        Snapshot {
            ready: self.ready.iter().cloned().collect(),
            timed: ["scheduled", "pending", "dead"].map(|state| self.timed(state)),
            messages: self.messages.iter().map(record).collect(),
            attempts: self.messages.iter().filter_map(line).collect(),
            keyed,
            bell: usize::from(self.bell),
            alarm: usize::from(self.alarm),
            meta: self.meta(),
        }
    }

    fn meta(&self) -> BTreeMap<String, String> {
        let counters = self.counters.iter().map(|(name, count)| (*name, count.to_string()));
        let mut meta: BTreeMap<_, _> =
            counters.map(|(name, count)| (name.to_owned(), count)).collect();
        if let Some(layout) = self.layout {
            meta.insert("layout".to_owned(), layout.to_owned());
        }
        if self.max_ready > 0 {
            meta.insert("max_ready".to_owned(), self.max_ready.to_string());
        }
        if self.paused {
            meta.insert("paused".to_owned(), "1".to_owned());
        }
        if !self.task.is_empty() {
            meta.insert("redrive_task".to_owned(), self.task.clone());
        }
        if let Some((at, names)) = &self.watch {
            meta.insert("watch".to_owned(), format!("{at} {}", names.join(" ")));
        }
        meta
    }
}
