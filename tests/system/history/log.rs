//! The file that one process writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

/// A history in the making; what was written outlives the process, however it ends.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// One write for each line: a killed process leaves at most its last line torn.
    pub(crate) fn note(&self, told: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(told)?;
        line.push(b'\n');
        (&self.0).write_all(&line)
    }
}
