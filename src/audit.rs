//! The proof, online and in bounded reads, that every message is in exactly one place.

use std::collections::HashSet;

use serde::Serialize;

use crate::error::Result;
use crate::message::Payload;
use crate::name::State;
use crate::op::check::{Check, Finding, Step};
use crate::op::counts::Counts;
use crate::queue::Queue;

/// Ids of one read: a script of well under a millisecond.
const STEP: usize = 200;
/// Before Redis 7.4 a hash cannot be walked without its values, so these reads copy payloads.
const MESSAGES_STEP: usize = 16;
/// Problems listed by id; the report counts all of them.
const MAX_LISTED: usize = 100;

/// What is wrong with one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Damage {
    /// In a state without a record: claims and pollers drop it when they meet it.
    Ghost,
    /// A record in no state: nobody would ever deliver it.
    Orphan,
    /// In two states, or twice in one.
    Twice,
}

/// What [`Queue::check`] found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The counts at the end of the check; [`Counts::law_holds`] is half of the proof.
    pub counts: Counts,
    /// Ids looked at, each in its state and in the records.
    pub looked_at: u64,
    /// How many ids are damaged.
    pub damaged: u64,
    /// The first hundred of them.
    pub damage: Vec<(String, Damage)>,
}

impl Report {
    /// Whether the law holds and each id is in exactly one place.
    pub fn is_clean(&self) -> bool {
        self.counts.law_holds() && self.damaged == 0
    }
}

impl<T: Payload> Queue<T> {
    /// Checks the law, and each id in exactly one place, while the queue is at work.
    ///
    /// It reads pages, so ids move under it; whatever looks wrong is looked at again, alone and
    /// atomically, before it is reported. Takes memory for two ids per ready message. `progress` is
    /// told how many ids were looked at so far.
    pub async fn check(&self, mut progress: impl FnMut(u64)) -> Result<Report> {
        let mut audit = Audit::default();
        for place in ["messages", "ready", "scheduled", "pending", "dead"] {
            let mut cursor = "0".to_owned();
            loop {
                let limit = if place == "messages" { MESSAGES_STEP } else { STEP };
                let call = Check { place, cursor: &cursor, limit };
                let step = self.store().run(&call).await?.reply;
                let next = step.next.clone();
                audit.note(place, step);
                progress(audit.looked_at);
                let Some(next) = next else { break };
                cursor = next;
            }
        }
        let mut report = Report {
            counts: Counts::default(),
            looked_at: audit.looked_at,
            damaged: 0,
            damage: vec![],
        };
        for id in audit.suspects() {
            let call = Check { place: "one", cursor: &id, limit: 1 };
            for (id, finding) in self.store().run(&call).await?.reply.findings {
                let Some(damage) = confirmed(finding) else {
                    continue;
                };
                report.damaged += 1;
                if report.damage.len() < MAX_LISTED {
                    report.damage.push((id, damage));
                }
            }
        }
        report.counts = self.counts().await?;
        Ok(report)
    }
}

fn confirmed(finding: Finding) -> Option<Damage> {
    match finding {
        Finding::Ghost => Some(Damage::Ghost),
        Finding::Orphan => Some(Damage::Orphan),
        Finding::Twice => Some(Damage::Twice),
        Finding::Unplaced | Finding::Listed | Finding::Placed | Finding::Gone => None,
    }
}

/// What the pages told so far.
#[derive(Debug, Default)]
struct Audit {
    looked_at: u64,
    listed: HashSet<String>,
    unplaced: HashSet<String>,
    suspects: HashSet<String>,
}

impl Audit {
    fn note(&mut self, place: &str, step: Step) {
        self.looked_at += step.seen;
        for (id, finding) in step.findings {
            match finding {
                Finding::Unplaced => {
                    self.unplaced.insert(id);
                }
                Finding::Listed if place == State::Ready.as_str() => {
                    if let Some(again) = self.listed.replace(id) {
                        self.suspects.insert(again);
                    }
                }
                _ => {
                    self.suspects.insert(id);
                }
            }
        }
    }

    fn suspects(self) -> Vec<String> {
        let missing = self.unplaced.into_iter().filter(|id| !self.listed.contains(id));
        self.suspects.into_iter().chain(missing).collect()
    }
}
