//! What is done to a run, at random times and after random steps.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::World;
use super::crew::ROLES;
use super::life::{Doom, POINTS};
use super::net::Weather;

/// One fault in so many ms, on average.
const EVERY_MS: u64 = 1_500;
const LONGEST_HARM_MS: u64 = 4_000;
const LONGEST_DOWN_MS: u64 = 1_500;
/// A process does something so often in a second or two.
const SOON: u32 = 12;

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// A process dies: now, after some steps, or where it comes by.
    Kill,
    /// A process is asked to end, and replaced.
    Retire,
    /// The server dies, and starts again on its file.
    Server,
    /// SCRIPT FLUSH.
    Flush,
    /// All connections are cut.
    Clients,
    /// The server listens to nobody for a while.
    Stall,
    /// No memory for pushes.
    Memory,
    /// The queue is paused.
    Pause,
    /// Some of the connections are cut, slow, half open or split off.
    Net,
}

/// Kills and the network do most of the harm that there is.
const FAULTS: [Fault; 14] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Retire,
    Fault::Server,
    Fault::Flush,
    Fault::Clients,
    Fault::Stall,
    Fault::Memory,
    Fault::Pause,
    Fault::Net,
    Fault::Net,
    Fault::Net,
];

/// Faults strike for so long, several at a time; then all of them heal.
pub(crate) async fn storm(world: &Rc<World>, rng: &mut Rng, length: Duration) {
    // Half of the servers sync before each answer, half of them each second.
    let loses = rng.bool();
    let (end, mut under_way) = (Instant::now() + length, JoinSet::new());
    loop {
        sleep(Duration::from_millis(rng.u64(..2 * EVERY_MS))).await;
        if Instant::now() >= end {
            break;
        }
        let fault = FAULTS[rng.usize(..FAULTS.len())];
        under_way.spawn_local(strike(Rc::clone(world), fault, loses, rng.fork()));
    }
    under_way.join_all().await;
    // The server may have lost what resumed the queue.
    resume(world).await;
    world.weather.borrow_mut().fill(Weather::Fine);
    world.lives.borrow().iter().for_each(|life| life.spare());
    // A connection that is half open stays so.
    world.server.cut();
    world.notes.fault("healed");
    world.notes.trouble("healed", world.notes.now_ms());
}

async fn strike(world: Rc<World>, fault: Fault, loses: bool, mut rng: Rng) {
    let (notes, from) = (&world.notes, world.notes.now_ms());
    let harm = Duration::from_millis(rng.u64(50..LONGEST_HARM_MS));
    match fault {
        Fault::Kill => return kill(&world, &mut rng),
        Fault::Retire => {
            notes.fault("retire");
            world.lives.borrow()[rng.usize(..ROLES.len())].retire.cancel();
        }
        Fault::Server if world.server.is_up() => {
            notes.fault(if loses { "server_everysec" } else { "server_always" });
            let down = Duration::from_millis(rng.u64(..LONGEST_DOWN_MS));
            world.server.restart(notes, &mut rng, loses, down).await;
        }
        Fault::Server => return,
        Fault::Flush => {
            notes.fault("flush");
            world.server.ask(&["SCRIPT", "FLUSH"]);
        }
        Fault::Clients => {
            notes.fault("clients");
            world.server.cut();
        }
        Fault::Stall => {
            notes.fault("stall");
            let until = from + u64::try_from(harm.as_millis()).unwrap_or(0);
            world.paused_until.set(until.max(world.paused_until.get()));
            sleep(harm).await;
        }
        Fault::Memory => {
            notes.fault("memory");
            world.server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
            sleep(harm).await;
            world.server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        }
        Fault::Pause => {
            notes.fault("pause");
            pause(&world, harm).await;
        }
        Fault::Net => net(&world, &mut rng, harm).await,
    }
    notes.trouble("fault", from);
}

fn kill(world: &World, rng: &mut Rng) {
    let life = std::sync::Arc::clone(&world.lives.borrow()[rng.usize(..ROLES.len())]);
    match rng.u8(..4) {
        0 => {
            world.notes.fault("kill_now");
            life.die();
        }
        1 | 2 => {
            world.notes.fault("kill_after_steps");
            life.doom(Doom::Steps(rng.u32(1..=SOON)));
        }
        _ => {
            world.notes.fault("kill_at_a_point");
            life.doom(Doom::At(POINTS[rng.usize(..POINTS.len())], rng.u32(1..=3)));
        }
    }
}

/// Whoever paused resumes in the end.
async fn pause(world: &Rc<World>, harm: Duration) {
    if let Ok(queue) = world.queue() {
        queue.pause().await.ok();
    }
    sleep(harm).await;
    resume(world).await;
}

async fn resume(world: &Rc<World>) {
    let Ok(queue) = world.queue() else { return };
    while queue.resume().await.is_err() {}
}

async fn net(world: &World, rng: &mut Rng, harm: Duration) {
    let until = world.notes.now_ms() + u64::try_from(harm.as_millis()).unwrap_or(0);
    let (weather, harm) = match rng.u8(..4) {
        0 => (Weather::Cuts(0.05 + 0.4 * rng.f64()), harm),
        1 => (Weather::Slow(Duration::from_millis(rng.u64(10..500))), harm),
        2 => {
            let both = rng.u8(1..4);
            let (to_server, to_client) = (both & 1 > 0, both & 2 > 0);
            let until_link = world.links.get();
            // Until three time-outs, or the end of a blocking read, have made it new.
            (Weather::Silent { to_server, to_client, until_link }, Duration::from_secs(8))
        }
        _ => (Weather::Split { until }, harm),
    };
    world.notes.fault(weather.name());
    let hit: Vec<usize> = (0..ROLES.len()).filter(|_| rng.u8(..3) == 0).collect();
    for place in &hit {
        world.weather.borrow_mut()[*place] = weather;
    }
    sleep(harm).await;
    for place in &hit {
        world.weather.borrow_mut()[*place] = Weather::Fine;
    }
}
