//! The server's memory, where the user may see it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::timeout;

use super::exporter;
use crate::doctor::Probe;

/// A server that takes longer is asked again at the next look.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks over a connection beside the library's own, which is made anew after each fault.
pub(super) struct Memory {
    url: String,
    probe: Option<Probe>,
}

impl Memory {
    pub(super) fn new(url: String) -> Self {
        Self { url, probe: None }
    }

    /// Looks, and records what it saw.
    pub(super) async fn look(&mut self) {
        let looked = timeout(PATIENCE, self.ask()).await;
        match looked.unwrap_or_else(|_| Err(anyhow!("the server does not answer"))) {
            Ok(Some(info)) => {
                let bytes = |name: &str| info.get(name).and_then(|bytes| bytes.parse().ok());
                if let (Some(used), Some(limit)) = (bytes("used_memory"), bytes("maxmemory")) {
                    exporter::note_memory(used, limit);
                }
            }
            // The user may not ask.
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "the server's memory cannot be read");
                self.probe = None;
            }
        }
    }

    async fn ask(&mut self) -> Result<Option<HashMap<String, String>>> {
        let probe = match self.probe.take() {
            Some(probe) => probe,
            None => Probe::connect(&self.url).await?,
        };
        self.probe.insert(probe).info("memory").await
    }
}
