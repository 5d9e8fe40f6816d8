//! An operator who looks at the dead letters and brings some of them back.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use redeliver::{MessageId, Queue, Raw};
use tokio::time::sleep;

use super::life::Life;

const LOOK_EVERY_MS: u64 = 6_000;
const PAGE: u32 = 8;

pub(crate) async fn run(life: Arc<Life>, queue: Queue<Raw>, mut rng: Rng) {
    loop {
        let pause = Duration::from_millis(rng.u64(LOOK_EVERY_MS / 2..2 * LOOK_EVERY_MS));
        if life.retire.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
        let Ok(page) = queue.dead().peek(0, PAGE).await else { continue };
        let chosen = page.messages.iter().filter(|_| rng.u8(..3) > 0);
        let chosen: Vec<MessageId> = chosen.map(|dead| dead.id).collect();
        // The network notes what arrives of it.
        queue.dead().redrive(&chosen).await.ok();
    }
}
