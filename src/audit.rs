//! The proof, online and in bounded reads, that every message is in exactly one place; and the mending.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use crate::damage::Damage;
use crate::error::{Error, Result};
use crate::message::Payload;
use crate::op::check::{Check, Finding, Step};
use crate::op::counts::{Count, Counts};
use crate::op::repair::{MAX_SUBJECTS, Repair};
use crate::queue::Queue;
use crate::store::Store;

/// Ids of one read: a script of well under a millisecond.
const STEP: usize = 200;
/// What two pages of ready share. Whatever comes back to the head between them, as when a worker ends that
/// held so many, moves the rest into what was read.
const SHARED: u64 = STEP as u64 / 2;
/// Before Redis 7.4 a hash cannot be walked without its values, so these reads copy payloads.
const MESSAGES_STEP: usize = 16;
/// Findings listed one by one; the report counts all of them.
const MAX_LISTED: usize = 100;
/// A worker that has just taken the bell's token claims at once: only a bell that stays silent for a
/// second, with the same message at the head of ready, has lost it.
const BELL_LOOKS: u32 = 10;
const BELL_PAUSE: Duration = Duration::from_millis(100);
/// What is read page by page. Records come before ready: a message may leave it meanwhile, and then
/// it is looked at alone, but none that was there all the time is missed.
const PLACES: [&str; 7] =
    ["messages", "ready", "scheduled", "pending", "dead", "keyed", "attempts"];

/// What [`Queue::check`] found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The counts at the end of the check; [`Counts::law_holds`] is half of the proof. All 0 when a
    /// key has another type, since no script reads such a queue.
    pub counts: Counts,
    /// Ids looked at, each in its state and in the records; attempt lines and keys besides.
    pub looked_at: u64,
    /// How much damage there is: an id may be damaged in several ways.
    pub damaged: u64,
    /// The same by kind.
    pub kinds: BTreeMap<Damage, u64>,
    /// The first hundred: an id, `=` and a deduplication key, or the name of a key or counter.
    pub damage: Vec<(String, Damage)>,
}

impl Report {
    fn new(found: &Found, counts: Counts) -> Self {
        let listed = found.damage.iter().take(MAX_LISTED);
        let text = |about: &[u8]| String::from_utf8_lossy(about).into_owned();
        Self {
            counts,
            looked_at: found.looked_at,
            damaged: found.damage.len() as u64,
            kinds: by_kind(&found.damage),
            damage: listed.map(|(about, damage)| (text(about), *damage)).collect(),
        }
    }

    /// This one of a partition, added to that of the partitions before it.
    fn after(mut self, before: Option<Self>) -> Self {
        let Some(mut all) = before else { return self };
        all.counts = all.counts.and(&self.counts);
        all.looked_at += self.looked_at;
        all.damaged += self.damaged;
        add(&mut all.kinds, self.kinds);
        all.damage.append(&mut self.damage);
        all.damage.truncate(MAX_LISTED);
        all
    }

    /// Whether the law holds and nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.counts.law_holds() && self.damaged == 0
    }
}

/// What [`Queue::repair`] did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Repaired {
    /// What was found before.
    pub found: Report,
    /// How much of each kind was mended. Less than was found when traffic has mended some before.
    pub mended: BTreeMap<Damage, u64>,
    /// The counts afterwards.
    pub counts: Counts,
}

impl Repaired {
    fn after(self, before: Option<Self>) -> Self {
        let Some(mut all) = before else { return self };
        all.counts = all.counts.and(&self.counts);
        all.found = self.found.after(Some(all.found));
        add(&mut all.mended, self.mended);
        all
    }

    /// Whether all that was found is mended: the law holds, and no key has another type.
    pub fn is_clean(&self) -> bool {
        self.counts.law_holds() && !self.found.kinds.contains_key(&Damage::WrongType)
    }
}

type Findings = Vec<(Vec<u8>, Damage)>;

fn by_kind(findings: &Findings) -> BTreeMap<Damage, u64> {
    let mut kinds = BTreeMap::new();
    for (_, damage) in findings {
        *kinds.entry(*damage).or_default() += 1;
    }
    kinds
}

fn add(kinds: &mut BTreeMap<Damage, u64>, more: BTreeMap<Damage, u64>) {
    for (kind, number) in more {
        *kinds.entry(kind).or_default() += number;
    }
}

impl<T: Payload> Queue<T> {
    /// Checks the law, each id in exactly one place, and all that belongs to it, while the queue is at
    /// work. Changes nothing.
    ///
    /// It reads pages, so ids move under it; whatever looks wrong is looked at again, alone and
    /// atomically, before it is reported. Takes memory for two ids per ready message. `progress` is
    /// told how many ids were looked at so far.
    pub async fn check(&self, mut progress: impl FnMut(u64)) -> Result<Report> {
        let mut report: Option<Report> = None;
        for partition in self.shared().all().await {
            let (store, before) = (&partition.store, report.as_ref().map_or(0, |it| it.looked_at));
            let found = find(store, |looked_at| progress(before + looked_at)).await?;
            let part = Report::new(&found, counts(store, &found).await?);
            report = Some(part.after(report));
        }
        report.ok_or_else(|| Error::reply("check", "no partition"))
    }

    /// Checks like [`check`](Self::check) and mends what it found, while the queue is at work; what
    /// each kind of damage becomes is said at [`Damage`].
    ///
    /// It loses no message: a record without a place becomes ready, and an id goes only when its
    /// record is gone. Each call of the script mends at most eight ids and looks at them again first,
    /// so what has become sound since is left alone, and running it twice is harmless. A key of
    /// another type is reported and never touched.
    pub async fn repair(&self, mut progress: impl FnMut(u64)) -> Result<Repaired> {
        let mut repaired: Option<Repaired> = None;
        for partition in self.shared().all().await {
            let store = &partition.store;
            let looked_at = repaired.as_ref().map_or(0, |it| it.found.looked_at);
            let found = find(store, |now| progress(looked_at + now)).await?;
            let before = Report::new(&found, counts(store, &found).await?);
            let mended = if found.is_readable() { mend(store, &found).await? } else { vec![] };
            let mended = by_kind(&mended);
            let part = Repaired { found: before, mended, counts: counts(store, &found).await? };
            repaired = Some(part.after(repaired));
        }
        repaired.ok_or_else(|| Error::reply("repair", "no partition"))
    }
}

async fn counts(store: &Store, found: &Found) -> Result<Counts> {
    if found.is_readable() { Ok(store.run(&Count).await?.reply) } else { Ok(Counts::default()) }
}

/// The queue as a whole comes first, since what is mended later rings its bell. Then the keys: what
/// is right for an id depends on whom its key names.
async fn mend(store: &Store, found: &Found) -> Result<Findings> {
    let mut mended = Findings::new();
    if !found.of_queue.is_empty() {
        mended.extend(store.run(&Repair(&[])).await?.reply);
    }
    for group in [&found.keys, &found.ids] {
        for subjects in group.chunks(MAX_SUBJECTS) {
            mended.extend(store.run(&Repair(subjects)).await?.reply);
        }
    }
    Ok(mended)
}

/// All that is damaged, and whom a repair has to look at.
#[derive(Debug, Default)]
struct Found {
    looked_at: u64,
    damage: Findings,
    of_queue: Findings,
    keys: Vec<Vec<u8>>,
    ids: Vec<Vec<u8>>,
}

impl Found {
    fn is_readable(&self) -> bool {
        !self.damage.iter().any(|(_, damage)| *damage == Damage::WrongType)
    }
}

async fn find(store: &Store, mut progress: impl FnMut(u64)) -> Result<Found> {
    let mut found = Found { damage: look(store, "types", b"0").await?, ..Found::default() };
    if !found.is_readable() {
        return Ok(found);
    }
    let mut audit = Audit::default();
    for place in PLACES {
        let mut cursor = b"0".to_vec();
        loop {
            let limit = if place == "messages" { MESSAGES_STEP } else { STEP };
            let call = Check { place, cursor: &cursor, limit };
            let step = store.run(&call).await?.reply;
            let next = step.next.clone();
            audit.note(step);
            progress(audit.looked_at);
            let Some(next) = next else { break };
            cursor = if place == "ready" { from_before(&next)? } else { next };
        }
    }
    found.looked_at = audit.looked_at;
    for (place, subjects) in audit.suspects() {
        for subject in subjects {
            let damage = look(store, place, &subject).await?;
            if damage.is_empty() {
                continue;
            }
            found.damage.extend(damage);
            let group = if subject.starts_with(b"=") { &mut found.keys } else { &mut found.ids };
            group.push(subject);
        }
    }
    found.of_queue = ailments(store).await?;
    found.damage.extend(found.of_queue.iter().cloned());
    Ok(found)
}

/// Where the next page of ready ends if this one began there.
fn from_before(start: &[u8]) -> Result<Vec<u8>> {
    let number = std::str::from_utf8(start).ok().and_then(|start| start.parse::<u64>().ok());
    let start = number.ok_or_else(|| Error::reply("check", "a cursor that is no number"))?;
    Ok((start + SHARED).to_string().into_bytes())
}

/// The damage that one look tells.
async fn look(store: &Store, place: &str, cursor: &[u8]) -> Result<Findings> {
    let step = store.run(&Check { place, cursor, limit: 1 }).await?.reply;
    let damaged = |(about, finding)| match finding {
        Finding::Damaged(damage) => Some((about, damage)),
        _ => None,
    };
    Ok(step.findings.into_iter().filter_map(damaged).collect())
}

async fn ailments(store: &Store) -> Result<Findings> {
    let mut found = look(store, "queue", b"0").await?;
    for _ in 0..BELL_LOOKS {
        let silent = found.iter().find(|(_, damage)| *damage == Damage::LostBell).cloned();
        let Some(silent) = silent else { break };
        sleep(BELL_PAUSE).await;
        found = look(store, "queue", b"0").await?;
        if !found.contains(&silent) {
            found.retain(|(_, damage)| *damage != Damage::LostBell);
        }
    }
    Ok(found)
}

/// What the pages told so far.
#[derive(Debug, Default)]
struct Audit {
    looked_at: u64,
    listed: HashSet<Vec<u8>>,
    unplaced: HashSet<Vec<u8>>,
    suspects: HashSet<Vec<u8>>,
    /// Of ready what was read last, as it stood there.
    recent: Vec<Vec<u8>>,
}

impl Audit {
    fn note(&mut self, step: Step) {
        self.looked_at += step.seen;
        let mut page = Vec::new();
        for (id, finding) in step.findings {
            match finding {
                Finding::Unplaced => {
                    self.unplaced.insert(id);
                }
                Finding::Listed => page.push(id),
                _ => {
                    self.suspects.insert(id);
                }
            }
        }
        if page.is_empty() {
            return;
        }
        let shared = overlap(&page, &self.recent);
        self.looked_at -= shared as u64;
        page.truncate(page.len() - shared);
        for id in &page {
            if let Some(again) = self.listed.replace(id.clone()) {
                self.suspects.insert(again);
            }
        }
        page.append(&mut self.recent);
        page.truncate(2 * STEP);
        self.recent = page;
    }

    /// Whom to look at again, and how: an id that stood in no ZSET and was not seen in ready has
    /// mostly gone elsewhere meanwhile, which takes no walk through ready to see.
    fn suspects(self) -> [(&'static str, Vec<Vec<u8>>); 2] {
        let Self { suspects, unplaced, listed, .. } = self;
        let missing = unplaced.into_iter();
        let missing = missing.filter(|id| !listed.contains(id) && !suspects.contains(id));
        [("near", missing.collect()), ("one", suspects.iter().cloned().collect())]
    }
}

/// How many ids at the end of a page of ready stood at the beginning of what was read before, or all of
/// them somewhere in it: ready is read from its tail, and claims at its head move the rest into the next page.
fn overlap(page: &[Vec<u8>], before: &[Vec<u8>]) -> usize {
    if before.windows(page.len()).any(|known| known == page) {
        return page.len();
    }
    let most = page.len().min(before.len());
    (1..=most).rev().find(|shared| page.ends_with(&before[..*shared])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<Vec<u8>> {
        text.bytes().map(|id| vec![id]).collect()
    }

    #[test]
    fn what_moved_into_the_next_page_is_no_duplicate() {
        for (page, before, shared) in [
            ("abc", "def", 0),
            ("abd", "def", 1),
            ("def", "def", 3),
            ("ef", "defg", 2),
            ("ada", "def", 0),
            ("a", "", 0),
        ] {
            assert_eq!(overlap(&ids(page), &ids(before)), shared, "{page} {before}");
        }
    }
}
