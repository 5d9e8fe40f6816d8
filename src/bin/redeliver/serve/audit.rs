//! Who did what: one line for each action, on stderr and, if asked for, in a file.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::json;

/// The log of actions.
#[derive(Debug)]
pub(super) struct Audit {
    file: Option<Mutex<File>>,
}

/// One action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action<'a> {
    pub(super) peer: SocketAddr,
    pub(super) verb: &'static str,
    pub(super) queue: &'a str,
    /// An id, or which dead letters.
    pub(super) subject: &'a str,
    pub(super) outcome: &'a str,
}

impl Audit {
    /// Appends to the file, if there is one to be.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| format!("the audit file {}", path.display()))
        };
        Ok(Self { file: path.map(open).transpose()?.map(Mutex::new) })
    }

    pub(super) fn note(&self, action: Action<'_>) {
        let Action { peer, verb, queue, subject, outcome } = action;
        tracing::info!(target: "redeliver::audit", %peer, verb, queue, subject, outcome);
        let Some(file) = &self.file else {
            return;
        };
        // The time of a log entry decides nothing.
        let at = Timestamp::now().to_string();
        let line = json!({
            "at": at, "peer": peer.to_string(), "verb": verb,
            "queue": queue, "subject": subject, "outcome": outcome,
        });
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::error!(%error, "the audit file cannot be written");
        }
    }
}
