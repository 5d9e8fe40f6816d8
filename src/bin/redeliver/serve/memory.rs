//! The server's memory, where the user may see it: of several servers, of the fullest.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures_util::future::join_all;
use redeliver::Server;
use tokio::time::timeout;

use super::exporter;
use crate::access::AccessArgs;
use crate::doctor::Probe;

/// A server that takes longer is asked again at the next look.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks over connections beside the library's own, which are made anew after each fault.
pub(super) struct Memory {
    server: Server,
    access: AccessArgs,
    probes: HashMap<String, Probe>,
}

/// Bytes in use, and the most that may be, 0 meaning no limit.
type Used = (u64, u64);

impl Memory {
    pub(super) fn new(server: Server, access: AccessArgs) -> Self {
        Self { server, access, probes: HashMap::new() }
    }

    /// Looks, and records what it saw.
    pub(super) async fn look(&mut self) {
        let mut probes = std::mem::take(&mut self.probes);
        let looks = self.server.urls().await.unwrap_or_default().into_iter().map(|url| {
            let (probe, access) = (probes.remove(&url), &self.access);
            async move {
                let looked = timeout(PATIENCE, ask(&url, access, probe)).await;
                (url, looked.unwrap_or_else(|_| Err(anyhow!("the server does not answer"))))
            }
        });
        let mut seen = Vec::new();
        for (url, looked) in join_all(looks).await {
            match looked {
                Ok((probe, used)) => {
                    self.probes.insert(url, probe);
                    seen.extend(used);
                }
                Err(error) => tracing::debug!(%error, "a server's memory cannot be read"),
            }
        }
        if let Some((used, limit)) = seen.into_iter().max_by(|a, b| share(a).total_cmp(&share(b))) {
            exporter::note_memory(used, limit);
        }
    }
}

/// Without a limit the one that uses most is the fullest.
#[expect(clippy::cast_precision_loss, reason = "it is only compared")]
fn share((used, limit): &Used) -> f64 {
    *used as f64 / (*limit).max(1) as f64
}

/// Nothing where the user may not ask.
async fn ask(
    url: &str,
    access: &AccessArgs,
    probe: Option<Probe>,
) -> Result<(Probe, Option<Used>)> {
    let probe = match probe {
        Some(probe) => probe,
        None => Probe::connect(url, access).await?,
    };
    let info = probe.info("memory").await?;
    let bytes = |name: &str| info.as_ref()?.get(name)?.parse().ok();
    let used = bytes("used_memory").zip(bytes("maxmemory"));
    Ok((probe, used))
}
