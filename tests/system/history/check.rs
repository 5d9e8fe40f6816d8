//! Reads all histories of a run and judges every message, in linear time and bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use redeliver::MessageId;

use super::judge::Story;
use super::lateness::{TAKEOVER_MS, Takeover};
use super::pushes::Pushes;
use super::times::Times;
use super::trouble::Troubles;
use super::turns::Turns;
use super::{Event, Verdict};

/// So much is judged at a time, in about three times as much memory.
const BUCKET_BYTES: u64 = 64 * 1024 * 1024;
/// Files that are open at a time; 1,024 are allowed by default.
const MAX_BUCKETS: u64 = 512;
/// Messages shown for each verdict that fails.
const MAX_SHOWN: usize = 5;
const ID: &[u8] = br#""id":""#;
const ID_LENGTH: usize = 26;

/// The verdicts on all messages.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) messages: u64,
    pub(crate) events: u64,
    /// Lines that nobody can read, torn last ones apart.
    pub(crate) unreadable: u64,
    pub(crate) verdicts: BTreeMap<Verdict, u64>,
    /// What became of the pushes that were confirmed.
    pub(crate) pushes: Pushes,
    /// Gone with a failover, and never proven.
    pub(crate) unreplicated: u64,
    /// What else looks as if a failover had undone a part of it.
    pub(crate) undone: u64,
    /// Some of the messages that fail.
    pub(crate) shown: Vec<(Verdict, MessageId)>,
    /// From the end of a killed holder's lease to the next claim.
    pub(crate) takeovers: Times,
    /// Judged when it is known who was before them.
    taken: Vec<Takeover>,
    turns: Turns,
}

impl Summary {
    pub(crate) fn new() -> Self {
        Self {
            messages: 0,
            events: 0,
            unreadable: 0,
            verdicts: BTreeMap::new(),
            pushes: Pushes::default(),
            unreplicated: 0,
            undone: 0,
            shown: Vec::new(),
            takeovers: Times::within(TAKEOVER_MS),
            taken: Vec::new(),
            turns: Turns::default(),
        }
    }

    pub(crate) fn count(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    pub(crate) fn passes(&self) -> bool {
        self.unreadable == 0
            && self.verdicts.keys().all(|verdict| verdict.is_allowed())
            && self.takeovers.figures().pass()
    }

    fn judge(&mut self, id: MessageId, mut story: Story, troubles: &Troubles) {
        story.close();
        self.taken.extend(story.takeovers());
        story.turn().into_iter().for_each(|(by, claimed)| self.turns.note(by, claimed));
        let late = if story.is_late(troubles) { Verdict::Late } else { Verdict::Ok };
        let mut verdict = story.verdict(troubles).max(late);
        let undone = verdict.may_be_undone() && story.may_be_undone(troubles);
        if undone && story.is_gone() {
            // Whatever else was undone of it excuses no loss.
            verdict = Verdict::Lost;
        }
        self.messages += 1;
        self.pushes.note(story.confirmed(), verdict == Verdict::Lost);
        match verdict {
            Verdict::Lost if story.push_may_be_undone(troubles) => self.unreplicated += 1,
            verdict if undone && verdict != Verdict::Lost => self.undone += 1,
            verdict => self.count_in(verdict, id),
        }
    }

    fn count_in(&mut self, verdict: Verdict, id: MessageId) {
        let count = self.verdicts.entry(verdict).or_default();
        *count += 1;
        if !verdict.is_allowed() && *count <= MAX_SHOWN as u64 {
            self.shown.push((verdict, id));
        }
    }

    /// All messages are judged.
    pub(crate) fn close(&mut self, troubles: &Troubles) {
        self.turns.close();
        for takeover in self.taken.drain(..) {
            takeover.judge(troubles, &self.turns, &mut self.takeovers);
        }
        self.shown.sort_unstable();
    }

    /// Judges the messages whose events are all in these files.
    fn judge_all(&mut self, files: &[PathBuf], troubles: &Troubles) -> io::Result<()> {
        let mut stories = Stories::default();
        for file in files {
            read(file, |line| {
                match serde_json::from_slice::<Event>(line) {
                    Ok(event) => {
                        self.events += 1;
                        stories.note(&event);
                    }
                    Err(_) => self.unreadable += 1,
                }
                Ok(())
            })?;
        }
        stories.judge(troubles, self);
        Ok(())
    }
}

/// What is known of each message.
#[derive(Debug, Default)]
pub(crate) struct Stories(HashMap<MessageId, Story>);

impl Stories {
    pub(crate) fn note(&mut self, event: &Event) {
        self.0.entry(event.id()).or_default().note(event);
    }

    pub(crate) fn judge(self, troubles: &Troubles, summary: &mut Summary) {
        for (id, story) in self.0 {
            summary.judge(id, story, troubles);
        }
    }
}

/// Judges what the history files of a folder tell.
pub(crate) fn check(folder: &Path) -> io::Result<Summary> {
    check_by(folder, BUCKET_BYTES)
}

/// Histories that are longer than `bucket` bytes are first dealt out by message to so many files
/// that each is about as long as that; then each file is judged by itself.
pub(crate) fn check_by(folder: &Path, bucket: u64) -> io::Result<Summary> {
    let (files, troubles) = (histories(folder)?, Troubles::read(folder)?);
    let sizes = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|it| it.len());
    let buckets = sizes.sum::<u64>().div_ceil(bucket).clamp(1, MAX_BUCKETS);
    let mut summary = Summary::new();
    if buckets == 1 {
        summary.judge_all(&files, &troubles)?;
    } else {
        let dealt = tempfile::tempdir_in(folder)?;
        for bucket in deal(&files, dealt.path(), buckets)? {
            summary.judge_all(std::slice::from_ref(&bucket), &troubles)?;
            fs::remove_file(bucket)?;
        }
    }
    summary.close(&troubles);
    Ok(summary)
}

fn histories(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Deals the lines out: all lines of one message to one file.
fn deal(files: &[PathBuf], folder: &Path, buckets: u64) -> io::Result<Vec<PathBuf>> {
    let paths: Vec<_> = (0..buckets).map(|number| folder.join(number.to_string())).collect();
    let open = |path: &PathBuf| Ok(BufWriter::new(File::create(path)?));
    let mut writers = paths.iter().map(open).collect::<io::Result<Vec<_>>>()?;
    for file in files {
        read(file, |line| {
            let bucket = usize::try_from(hash_of(line) % buckets).map_err(io::Error::other)?;
            writers[bucket].write_all(line)?;
            writers[bucket].write_all(b"\n")
        })?;
    }
    for writer in &mut writers {
        writer.flush()?;
    }
    Ok(paths)
}

/// The last line of a killed process may be torn: what it announced was not begun.
fn read(file: &Path, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1024 * 1024, File::open(file)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\n") {
            Some(line) => take(line)?,
            None => return Ok(()),
        }
    }
}

/// Which message a line belongs to, without reading the whole of it.
fn hash_of(line: &[u8]) -> u64 {
    let start = line.windows(ID.len()).position(|window| window == ID).unwrap_or(0) + ID.len();
    let mut hasher = DefaultHasher::new();
    line.get(start..start + ID_LENGTH).hash(&mut hasher);
    hasher.finish()
}
