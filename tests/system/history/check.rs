//! Reads all histories of a run and judges every message, in linear time and bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use redeliver::MessageId;

use super::judge::Story;
use super::{Event, Verdict};

/// Histories of this size are judged at a time, in about four times as much memory.
const PASS_BYTES: u64 = 512 * 1024 * 1024;
/// Messages shown for each verdict that fails.
const MAX_SHOWN: usize = 5;
const ID: &[u8] = br#""id":""#;
const ID_LENGTH: usize = 26;

/// The verdicts on all messages.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) messages: u64,
    pub(crate) events: u64,
    /// Lines that nobody can read, torn last ones apart.
    pub(crate) unreadable: u64,
    pub(crate) verdicts: BTreeMap<Verdict, u64>,
    /// Some of the messages that fail.
    pub(crate) shown: Vec<(Verdict, MessageId)>,
}

impl Summary {
    pub(crate) fn count(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    pub(crate) fn passes(&self) -> bool {
        self.unreadable == 0 && self.verdicts.keys().all(|verdict| verdict.is_allowed())
    }

    fn judge(&mut self, id: MessageId, story: Story) {
        let verdict = story.verdict();
        self.messages += 1;
        let count = self.verdicts.entry(verdict).or_default();
        *count += 1;
        if !verdict.is_allowed() && *count <= MAX_SHOWN as u64 {
            self.shown.push((verdict, id));
        }
    }
}

/// Judges what the history files of a folder tell.
pub(crate) fn check(folder: &Path) -> io::Result<Summary> {
    let files = histories(folder)?;
    let bytes: u64 =
        files.iter().filter_map(|file| fs::metadata(file).ok()).map(|it| it.len()).sum();
    check_in(&files, bytes.div_ceil(PASS_BYTES).max(1))
}

/// Each pass reads all files and judges its share of the messages.
pub(crate) fn check_in(files: &[PathBuf], passes: u64) -> io::Result<Summary> {
    let mut summary = Summary::default();
    for pass in 0..passes {
        let mut stories: HashMap<MessageId, Story> = HashMap::new();
        for file in files {
            read(file, |line| {
                if passes > 1 && share_of(line) % passes != pass {
                    return;
                }
                match serde_json::from_slice::<Event>(line) {
                    Ok(event) => {
                        summary.events += 1;
                        stories.entry(event.id()).or_default().note(&event);
                    }
                    Err(_) => summary.unreadable += 1,
                }
            })?;
        }
        for (id, story) in stories {
            summary.judge(id, story);
        }
    }
    summary.shown.sort_unstable();
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

/// The last line of a killed process may be torn: what it announced was not begun.
fn read(file: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1024 * 1024, File::open(file)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\n") {
            Some(line) => take(line),
            None => return Ok(()),
        }
    }
}

/// Which share of the messages a line belongs to, without reading the whole of it.
fn share_of(line: &[u8]) -> u64 {
    let start = line.windows(ID.len()).position(|window| window == ID).unwrap_or(0) + ID.len();
    let mut hasher = DefaultHasher::new();
    line.get(start..start + ID_LENGTH).hash(&mut hasher);
    hasher.finish()
}
