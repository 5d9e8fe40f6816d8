//! A replica whose clock is off, and that becomes the master.

use std::time::Duration;

use redeliver::{Message, Queue, Raw, Server, Settled};
use tokio::task::block_in_place;

use crate::faketime::clock;
use crate::nodes::caught_up;
use crate::sentinels::Sentinels;

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    stage: Sentinels,
    queue: Queue<Raw>,
}

impl Scene {
    async fn new(ahead_s: i64) -> Option<Self> {
        let Some(by) = clock(ahead_s) else {
            eprintln!("left out: the server does not start with another clock");
            return None;
        };
        let mut stage = Sentinels::start();
        stage.heal();
        for replica in stage.replicas_of(stage.master()) {
            stage.servers[replica].restart_by(by.clone());
        }
        stage.heal();
        let queue = Server::connect(&stage.url()).await.unwrap().queue("clock").unwrap();
        Some(Self { stage, queue })
    }

    /// Has a replica take over that has all of it.
    fn hand_over(&self) {
        let old = self.stage.master();
        caught_up(&self.stage.servers, old, self.stage.replicas_of(old));
        self.stage.hand_over(0);
        self.stage.elected(old);
        // Until it is told, the old one goes on.
        self.stage.servers[old].demoted();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_whose_clock_is_ahead_ends_leases_and_delays_early_and_loses_nothing() {
    let Some(Scene { stage, queue }) = Scene::new(60).await else { return };
    queue.push(Raw::from("held")).await.unwrap();
    let held = queue.claim(1).await.unwrap().remove(0);
    queue.push(Message::new(Raw::from("later")).delay(50 * SECOND)).await.unwrap();
    let scene = Scene { stage, queue };
    block_in_place(|| scene.hand_over());
    let done = scene.queue.redeliver(10).await.unwrap();
    assert_eq!((done.reclaimed, done.promoted), (1, 1));
    let claimed = scene.queue.claim(2).await.unwrap();
    assert_eq!(claimed.len(), 2);
    // The receipt of the first holder settles nothing of the second one's.
    assert_eq!(held.ack().await.unwrap(), Settled::Lost);
    for delivery in claimed {
        assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    }
    assert!(scene.queue.check(|_| {}).await.unwrap().is_clean());
    assert_eq!(scene.queue.counts().await.unwrap().acked, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_whose_clock_is_behind_keeps_leases_and_delays_longer_and_loses_nothing() {
    let Some(Scene { stage, queue }) = Scene::new(-60).await else { return };
    queue.push(Raw::from("held")).await.unwrap();
    let held = queue.claim(1).await.unwrap().remove(0);
    // Due when the other one takes over, by the clock of this one.
    let soon = Message::new(Raw::from("soon")).delay(Duration::from_millis(1));
    queue.push(soon).await.unwrap();
    let scene = Scene { stage, queue };
    block_in_place(|| scene.hand_over());
    let done = scene.queue.redeliver(10).await.unwrap();
    assert_eq!((done.reclaimed, done.promoted), (0, 0));
    let ahead = scene.queue.forecast(&[Duration::ZERO, 65 * SECOND]).await.unwrap();
    assert_eq!(ahead.scheduled, [0, 1], "due by the old master's clock");
    assert_eq!(held.ack().await.unwrap(), Settled::Done);
    // What comes new goes by the new clock.
    scene.queue.push(Raw::from("now")).await.unwrap();
    let claimed = scene.queue.claim(1).await.unwrap().remove(0);
    assert_eq!(claimed.ack().await.unwrap(), Settled::Done);
    let counts = scene.queue.counts().await.unwrap();
    assert_eq!((counts.acked, counts.scheduled), (2, 1));
    assert!(scene.queue.check(|_| {}).await.unwrap().is_clean());
}
