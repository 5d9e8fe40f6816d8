//! What handlers saw: one file for each worker process, which outlives its death.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use redeliver::MessageId;
use serde::{Deserialize, Serialize};

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) attempt: u64,
    pub(crate) outcome: Outcome,
}

/// What happened to an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Started,
    Succeeded,
    Failed(String),
}

/// A worker's log.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// One write for each line, so that a killed process leaves no half of one.
    pub(crate) fn note(&self, id: MessageId, attempt: u64, outcome: Outcome) -> io::Result<()> {
        let id = id.to_string();
        let line = serde_json::to_string(&Line { id, attempt, outcome })?;
        (&self.0).write_all(format!("{line}\n").as_bytes())
    }
}

/// Everything that a worker has noted so far; nothing if it has not started yet.
pub(crate) fn read(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines();
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The attempts that were begun and have no end.
pub(crate) fn open_attempts(lines: &[Line]) -> usize {
    let started = lines.iter().filter(|line| line.outcome == Outcome::Started);
    let started: HashSet<_> = started.map(|line| (&line.id, line.attempt)).collect();
    let ended = lines.iter().filter(|line| line.outcome != Outcome::Started);
    let ended: HashSet<_> = ended.map(|line| (&line.id, line.attempt)).collect();
    started.difference(&ended).count()
}

/// The ids whose handlers succeeded.
pub(crate) fn succeeded(lines: &[Line]) -> impl Iterator<Item = &str> {
    let done = lines.iter().filter(|line| line.outcome == Outcome::Succeeded);
    done.map(|line| line.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (log, id) = (Log::open(&path).unwrap(), MessageId::generate());
        log.note(id, 1, Outcome::Started).unwrap();
        log.note(id, 1, Outcome::Failed("why".into())).unwrap();
        log.note(id, 2, Outcome::Started).unwrap();
        assert_eq!(open_attempts(&read(&path)), 1);
        log.note(id, 2, Outcome::Succeeded).unwrap();
        let lines = read(&path);
        assert_eq!(open_attempts(&lines), 0);
        assert_eq!(succeeded(&lines).collect::<Vec<_>>(), [id.to_string()]);
    }
}
