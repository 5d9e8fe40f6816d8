//! The life of one process, which may end after any step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::notes::Notes;
use crate::history::Event;

/// Where in its own course a process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// A push is noted and not yet begun.
    BeforePush,
    /// A push is answered, and the answer is not yet noted.
    PushAnswered,
    /// A message is claimed, and nothing of it is noted.
    Claimed,
    /// A handler is done, and nothing of it is settled.
    BeforeSettle,
    /// A message is settled, and the answer is not yet noted.
    SettleAnswered,
}

pub(crate) const POINTS: [Point; 5] = [
    Point::BeforePush,
    Point::PushAnswered,
    Point::Claimed,
    Point::BeforeSettle,
    Point::SettleAnswered,
];

/// What ends a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Doom {
    /// The so-and-so-many-th time that its network carries something for it.
    Steps(u32),
    /// The so-and-so-many-th time that it comes by.
    At(Point, u32),
}

/// What is left of a process after its end does nothing: its connections are gone, nobody listens to
/// it, and nothing that it notes is noted.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) notes: Arc<Notes>,
    pub(crate) name: String,
    alive: AtomicBool,
    /// Cancelled by its death.
    pub(crate) end: CancellationToken,
    /// Cancelled when it is asked to end by itself.
    pub(crate) retire: CancellationToken,
    doom: Mutex<Option<Doom>>,
}

impl Life {
    pub(crate) fn new(notes: Arc<Notes>, name: String, retire: CancellationToken) -> Arc<Self> {
        let end = CancellationToken::new();
        let (alive, doom) = (AtomicBool::new(true), Mutex::default());
        Arc::new(Self { notes, name, alive, end, retire, doom })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    pub(crate) fn note(&self, event: Event) {
        if self.is_alive() {
            self.notes.event(event);
        }
    }

    pub(crate) fn doom(&self, doom: Doom) {
        *self.doom.lock().unwrap_or_else(PoisonError::into_inner) = Some(doom);
    }

    /// It lives on.
    pub(crate) fn spare(&self) {
        *self.doom.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn die(&self) {
        if self.alive.swap(false, Ordering::Relaxed) {
            self.notes.line(format_args!("{} dies", self.name));
            self.end.cancel();
        }
    }

    /// Dies here when its time has come.
    pub(crate) fn pass(&self, point: Point) {
        self.approach(|doom| match doom {
            Doom::At(wanted, left) if *wanted == point => Some(left),
            _ => None,
        });
    }

    /// Its network is about to carry something for it.
    pub(crate) fn step(&self) {
        self.approach(|doom| match doom {
            Doom::Steps(left) => Some(left),
            Doom::At(..) => None,
        });
    }

    fn approach(&self, left: impl Fn(&mut Doom) -> Option<&mut u32>) {
        let mut doom = self.doom.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = doom.as_mut().and_then(left) else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            *doom = None;
            self.die();
        }
    }
}
