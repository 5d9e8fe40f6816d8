//! Between storms one thing at a time fails, and it is measured how soon all is well again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::faults::{AFTERMATH, Fault, LOOK_AFTER, Targets};
use crate::heartbeat::now_ms;
use crate::history::times::{Figures, Times};
use crate::history::trouble::Troubles;

/// Long enough to hold the longest delay that is allowed, and to measure some takeovers.
const KILLS: Duration = Duration::from_secs(10);
/// So seldom that two of the three who watch a deadline are rarely dead at a time.
const KILL_EVERY: Duration = Duration::from_secs(3);
/// The last ones killed leave leases of two seconds.
const LAST_LEASES: Duration = Duration::from_secs(3);
/// An agent is back after a restart, its first command done, so soon.
const BACK_MS: u64 = 2_000;
const RESTART: Duration = Duration::from_secs(5);
/// A call is made over another connection so soon after its own was swallowed.
const HEALED_MS: u64 = 10_000;
const HALF_OPEN: Duration = Duration::from_secs(13);
/// Of all connections: so that each process has some of both kinds.
const SHARE: f64 = 0.5;
/// The server is down for less than a second.
const SPARE: Duration = Duration::from_secs(2);

/// All drills together.
pub(crate) const LENGTH: Duration = Duration::from_secs(
    AFTERMATH.as_secs()
        + KILLS.as_secs()
        + LAST_LEASES.as_secs()
        + RESTART.as_secs()
        + HALF_OPEN.as_secs()
        + SPARE.as_secs(),
);

/// What the drills showed: since when, and how many ms it took.
#[derive(Debug, Default)]
pub(crate) struct Drills {
    half_open: Vec<(u64, u64)>,
    restarts: Vec<(u64, u64)>,
}

impl Drills {
    /// One of each whose fault is wanted.
    pub(crate) async fn run(
        &mut self,
        targets: &Arc<Targets>,
        faults: &[Fault],
        rng: &mut fastrand::Rng,
    ) -> Result<()> {
        pass(targets, AFTERMATH).await?;
        if faults.contains(&Fault::Kill) {
            let end = Instant::now() + KILLS;
            while Instant::now() < end {
                targets.kill(rng).await?;
                pass(targets, KILL_EVERY).await?;
            }
        }
        pass(targets, LAST_LEASES).await?;
        if faults.contains(&Fault::Server) {
            self.restart(targets, rng).await?;
        }
        if faults.contains(&Fault::Net) {
            self.half_open(targets, rng).await?;
        }
        Ok(())
    }

    async fn restart(&mut self, targets: &Arc<Targets>, rng: &mut fastrand::Rng) -> Result<()> {
        let from = now_ms();
        targets.restart(rng).await?;
        let ready = now_ms();
        targets.proxy.await_answers();
        targets.count("server");
        pass(targets, RESTART).await?;
        let waited = targets.proxy.waited_ms(BACK_MS);
        self.restarts.extend(waited.into_iter().map(|waited| (ready, waited)));
        targets.note_fault("server", from)
    }

    async fn half_open(&mut self, targets: &Arc<Targets>, rng: &mut fastrand::Rng) -> Result<()> {
        let from = now_ms();
        targets.proxy.half_open(SHARE, rng);
        targets.count("net_half_open");
        pass(targets, HALF_OPEN).await?;
        let waited = targets.proxy.waited_ms(HEALED_MS);
        self.half_open.extend(waited.into_iter().map(|waited| (from, waited)));
        targets.proxy.mend();
        targets.note_fault("net_half_open", from)
    }

    pub(crate) fn judge(&self, troubles: &Troubles) -> (Figures, Figures) {
        let judge = |bound, cases: &[(u64, u64)]| {
            let mut times = Times::within(bound);
            for &(from, took) in cases {
                let starved_ms = troubles.starved_ms(from, from + took);
                times.note(took, |took| took.saturating_sub(starved_ms) <= bound);
            }
            times.figures()
        };
        (judge(HEALED_MS, &self.half_open), judge(BACK_MS, &self.restarts))
    }
}

/// Lets time pass; whoever ends is replaced.
async fn pass(targets: &Arc<Targets>, time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        sleep(LOOK_AFTER).await;
        targets.look_after().await?;
    }
    Ok(())
}
