//! Who is at work: each place has one process at a time, and a dead one is replaced.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use redeliver::embedded::simulation;
use redeliver::{Poller, Queue, Raw};
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::life::Life;
use super::net::{Owner, Weather, carry};
use super::notes::AFTERMATH_MS;
use super::server::QUEUE;
use super::{World, consumer, operator, producer};
use crate::history::Trouble;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    /// With a poller of its own.
    Worker,
    Hand,
    Poller,
    Operator,
}

/// The default mix. Pollers are three, so that one can die.
pub(crate) const ROLES: [Role; 7] = [
    Role::Producer,
    Role::Producer,
    Role::Worker,
    Role::Worker,
    Role::Hand,
    Role::Poller,
    Role::Operator,
];
const LONGEST_ABSENCE_MS: u64 = 1_500;
/// So long a process may take to end by itself.
const RETIREMENT: Duration = Duration::from_secs(30);
/// What is left needs its leases to end, its backoffs to pass, and its attempts to be spent.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Worker => "worker",
            Self::Hand => "hand",
            Self::Poller => "poller",
            Self::Operator => "operator",
        }
    }

    /// Without it messages wait.
    fn is_needed(self) -> bool {
        !matches!(self, Self::Producer | Self::Operator)
    }

    async fn run(self, life: Arc<Life>, queue: Queue<Raw>, rng: Rng) {
        match self {
            Self::Producer => producer::run(life, queue, rng).await,
            Self::Worker => consumer::work(life, queue).await,
            Self::Hand => consumer::by_hand(life, queue, rng).await,
            Self::Poller => Poller::new(queue).run(life.retire.cancelled()).await,
            Self::Operator => operator::run(life, queue, rng).await,
        }
    }
}

/// All places, each with whoever fills it.
pub(crate) struct Crew(Vec<(Role, JoinHandle<()>)>);

pub(crate) fn hire(world: &Rc<World>, rng: &mut Rng) -> Crew {
    let mut places = Vec::new();
    for (place, role) in ROLES.into_iter().enumerate() {
        world.weather.borrow_mut().push(Weather::Fine);
        world.lives.borrow_mut().push(Life::new(
            Arc::clone(&world.notes),
            String::new(),
            CancellationToken::new(),
        ));
        places.push((role, spawn_local(fill(Rc::clone(world), place, role, rng.fork()))));
    }
    Crew(places)
}

/// One process after the other, until one ends that is not to be replaced.
async fn fill(world: Rc<World>, place: usize, role: Role, mut rng: Rng) {
    for number in 1.. {
        let name = format!("{}-{place}.{number}", role.name());
        let closing = &world.closing[usize::from(role.is_needed())];
        let life = Life::new(Arc::clone(&world.notes), name, closing.child_token());
        world.lives.borrow_mut()[place] = Arc::clone(&life);
        let (engine, arriving) = simulation::network();
        let owner = Owner::Process(place, Arc::clone(&life));
        let mut network = JoinSet::new();
        network.spawn_local(carry(Rc::clone(&world), owner, arriving));
        let queue = redeliver::Server::embedded(&engine).queue(QUEUE);
        let queue = queue.and_then(|queue| queue.with_policy(consumer::policy()));
        let queue = match queue {
            Ok(queue) => queue,
            Err(error) => return world.fail(format!("no queue: {error}")),
        };
        tokio::select! {
            biased;
            () = life.end.cancelled() => {}
            () = role.run(Arc::clone(&life), queue, rng.fork()) => {}
        }
        let retired = life.is_alive();
        life.die();
        if retired && closing.is_cancelled() {
            return;
        }
        let absent = if retired { 0 } else { rng.u64(..LONGEST_ABSENCE_MS) };
        mourn(&world, role, absent);
        sleep(Duration::from_millis(absent)).await;
    }
}

/// Notes what a death excuses: whoever watched the next deadline may be dead, and a message may wait
/// where nobody is left to take it.
fn mourn(world: &World, role: Role, absent: u64) {
    if role.is_needed() {
        let from = world.notes.now_ms();
        let until = from + absent + AFTERMATH_MS;
        let name = "short-handed".to_owned();
        world.notes.told().troubles.push(Trouble::Fault { name, from, until });
    }
}

impl Crew {
    /// All is healed, nothing more is pushed: says whether what is left was handled in time.
    pub(crate) async fn recover(self, world: &World) -> bool {
        let (pushing, handling): (Vec<_>, Vec<_>) =
            self.0.into_iter().partition(|(role, _)| !role.is_needed());
        world.closing[0].cancel();
        dismissed(world, pushing).await;
        let drained = async {
            while world.outstanding() != Some(0) {
                sleep(LOOK_EVERY).await;
            }
        };
        let drained = timeout(PATIENCE, drained).await.is_ok();
        world.closing[1].cancel();
        dismissed(world, handling).await;
        drained
    }
}

async fn dismissed(world: &World, places: Vec<(Role, JoinHandle<()>)>) {
    for (role, handle) in places {
        if timeout(RETIREMENT, handle).await.is_err() {
            world.fail(format!("a {} does not end", role.name()));
        }
    }
}
