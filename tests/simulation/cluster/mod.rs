//! A whole cluster in one thread and in virtual time: the library's own producers, workers, pollers
//! and consumers by hand, a network that does harm, and the engine with the very scripts. All that
//! happens is decided by one seed.

mod consumer;
mod crew;
mod faults;
mod judge;
mod life;
mod net;
mod notes;
mod operator;
mod producer;
mod server;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use redeliver::embedded::simulation;
use redeliver::{MessageId, Queue, Raw};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::history::{Event, Trouble, Verdict};
use crate::planted::Bug;
use crew::{ROLES, Role};
use life::Life;
use net::{Owner, Way, Weather, carry};
use notes::Notes;
use server::{QUEUE, Server};

/// The server's clock at the beginning of each run, in seconds since 1970.
const BEGINNING: u64 = 1_000_000_000;
/// With more than that in ready a message waits for its turn, not for a wake-up.
const BUSY: u64 = 4;
/// A run that carries more than this goes round in circles.
const MAX_STEPS: u64 = 50_000;
/// The states that hold messages, and what holds their records, with the commands that count them.
const SIZES: [(&str, &str); 7] = [
    ("LLEN", "ready"),
    ("ZCARD", "scheduled"),
    ("ZCARD", "pending"),
    ("ZCARD", "dead"),
    ("HLEN", "messages"),
    ("LLEN", "bell"),
    ("LLEN", "alarm"),
];
const WAYS_OUT: [&str; 5] = ["acked", "cancelled", "purged", "trimmed", "vanished"];

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How long faults strike.
    pub(crate) storm: Duration,
    pub(crate) bug: Option<&'static Bug>,
    /// Shows everything that happens.
    pub(crate) traced: bool,
}

impl Plan {
    pub(crate) const DEFAULT: Self =
        Self { storm: Duration::from_secs(40), bug: None, traced: false };
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    /// Why it fails, if it does.
    pub(crate) failures: Vec<String>,
    pub(crate) verdicts: BTreeMap<Verdict, u64>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) messages: u64,
    pub(crate) steps: u64,
    /// The abstract states that it came through, hashed: how many messages each state holds, bell and
    /// alarm, who is alive, and what is wrong.
    pub(crate) states: HashSet<u64>,
    pub(crate) virtual_time: Duration,
    /// Of everything that happened.
    pub(crate) hash: u64,
}

/// What all tasks of a run share.
struct World {
    notes: Arc<Notes>,
    server: Server,
    rng: RefCell<Rng>,
    links: Cell<u64>,
    steps: Cell<u64>,
    states: RefCell<HashSet<u64>>,
    /// One for each process.
    weather: RefCell<Vec<Weather>>,
    lives: RefCell<Vec<Arc<Life>>>,
    /// When each push came to the server last, by its message.
    pushed: RefCell<HashMap<MessageId, u64>>,
    /// Until when the server listens to nobody, in ms of its clock.
    paused_until: Cell<u64>,
    looked_ms: Cell<u64>,
    /// Cancelled when nobody is to push any more, and when nobody is to do anything.
    closing: [CancellationToken; 2],
    /// Cancelled when the run cannot pass any more.
    failed: CancellationToken,
}

/// Simulates one cluster from its beginning to its end.
pub(crate) fn run(seed: u64, plan: Plan) -> io::Result<Outcome> {
    simulation::begin();
    let dir = tempfile::Builder::new().prefix("rd-sim-").tempdir_in(memory())?;
    // What the library draws, such as pauses between tries.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let within = LocalSet::new();
    let outcome = within.block_on(&runtime, async {
        let mut rng = Rng::with_seed(seed);
        // The fraction of a millisecond in which everything happens.
        let began = Duration::from_secs(BEGINNING) + Duration::from_micros(rng.u64(..1_000));
        let world = Rc::new(World {
            notes: Arc::new(Notes::new(began, plan.traced)),
            server: Server::new(dir.path().to_owned(), plan.bug),
            rng: RefCell::new(rng.fork()),
            links: Cell::default(),
            steps: Cell::default(),
            states: RefCell::default(),
            weather: RefCell::default(),
            lives: RefCell::default(),
            pushed: RefCell::default(),
            paused_until: Cell::default(),
            looked_ms: Cell::default(),
            closing: Default::default(),
            failed: CancellationToken::new(),
        });
        world.server.start(&world.notes);
        let drained = world.play(&mut rng, plan).await;
        judge::outcome(&world, seed, drained).await
    });
    // Tasks that are left hold what the set does not.
    drop(within);
    drop(runtime);
    Ok(outcome)
}

/// Where files are kept in memory, on systems that have it.
fn memory() -> std::path::PathBuf {
    let memory = std::path::PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

impl World {
    /// The storm, then calm until the queue is empty. Says whether it came to that.
    async fn play(self: &Rc<Self>, rng: &mut Rng, plan: Plan) -> bool {
        let crew = crew::hire(self, rng);
        let played = async {
            faults::storm(self, rng, plan.storm).await;
            crew.recover(self).await
        };
        tokio::select! {
            biased;
            () = self.failed.cancelled() => false,
            drained = played => drained,
        }
    }

    /// The queue, as the simulation itself sees it: past all faults, but the server may be down.
    fn queue(self: &Rc<Self>) -> redeliver::Result<Queue<Raw>> {
        let (engine, arriving) = simulation::network();
        spawn_local(carry(Rc::clone(self), Owner::Nobody, arriving));
        redeliver::Server::embedded(&engine).queue(QUEUE)
    }

    /// Something is about to be carried.
    fn step(&self, who: &str, link: u64, way: Way, said: &[u8]) {
        self.notes.carried(who, link, said);
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS {
            self.fail(format!("more than {MAX_STEPS} steps"));
        }
        if way == Way::ToClient {
            self.look();
        }
    }

    /// What a process said comes to the server. A copy of a call may come long after its repetition was
    /// answered, and still push a message anew or redrive it again: the history has to know.
    fn arrives(&self, place: usize, said: &[u8]) {
        let role = ROLES[place];
        if !matches!(role, Role::Producer | Role::Operator) {
            return;
        }
        let at = self.notes.now_ms();
        for id in ids(said) {
            match role {
                Role::Producer => {
                    self.pushed.borrow_mut().insert(id, at);
                }
                _ => self.notes.event(Event::Redrive { id, at }),
            }
        }
    }

    fn fail(&self, failure: String) {
        self.notes.fail(failure);
        self.failed.cancel();
    }

    /// Looks at the queue: does the law hold, and has this state been seen before?
    fn look(&self) {
        let now = self.notes.now_ms();
        // What changes the queue is written first.
        if !self.server.mark(now) {
            return;
        }
        let number = |told: &Vec<String>, at: usize| -> u64 {
            told.get(at).and_then(|told| told.parse().ok()).unwrap_or(0)
        };
        let size = |(command, key)| number(&self.server.ask(&[command, &Server::key(key)]), 0);
        let sizes = SIZES.map(size);
        let [ready, scheduled, pending, dead, messages, ..] = sizes;
        let meta = Server::key("meta");
        let mut words = vec!["HMGET", &meta, "pushed"];
        words.extend(WAYS_OUT);
        let told = self.server.ask(&words);
        let gone: u64 = (1..=WAYS_OUT.len()).map(|at| number(&told, at)).sum();
        if ready + scheduled + pending + dead != messages || messages + gone != number(&told, 0) {
            self.fail(format!("the law is broken: {sizes:?} and {told:?}"));
        }
        let before = self.looked_ms.replace(now);
        if ready > BUSY {
            self.notes.told().troubles.push(Trouble::Busy { from: before, until: now + 1 });
        }
        let mut hasher = DefaultHasher::new();
        (sizes, self.paused_until.get() > now).hash(&mut hasher);
        self.lives.borrow().iter().for_each(|life| life.is_alive().hash(&mut hasher));
        self.weather.borrow().iter().for_each(|weather| weather.name().hash(&mut hasher));
        self.states.borrow_mut().insert(hasher.finish());
    }

    /// Returns when the server listens.
    async fn unpaused(&self) {
        let left = self.paused_until.get().saturating_sub(self.notes.now_ms());
        if left > 0 {
            sleep(Duration::from_millis(left)).await;
        }
    }

    fn outstanding(&self) -> Option<u64> {
        let told = SIZES[..3].iter().map(|(command, key)| {
            self.server.ask(&[command, &Server::key(key)]).first()?.parse::<u64>().ok()
        });
        told.sum()
    }
}

/// The message ids among the words of a request.
fn ids(said: &[u8]) -> impl Iterator<Item = MessageId> {
    const BEFORE: &[u8] = b"$26\r\n";
    let starts = said.windows(BEFORE.len()).enumerate().filter(|(_, window)| *window == BEFORE);
    starts.filter_map(|(at, _)| {
        let word = said.get(at + BEFORE.len()..at + BEFORE.len() + 26)?;
        std::str::from_utf8(word).ok()?.parse().ok()
    })
}
