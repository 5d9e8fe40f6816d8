//! What there is at a moment: the queue, the holders, the calls on their way, and what the model knows
//! better than the server.

use crate::server::{Id, Line, MAX_ATTEMPTS, MESSAGES, Receipt, Request, Server, When, Word};

pub(crate) const HOLDERS: usize = 2;

/// What keeps the states few. Without faults and detours the protocol is finite by itself: each
/// delivery that fails spends a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) messages: Id,
    /// Crashes, repeated calls, and pushes that come again after their message is gone.
    pub(crate) faults: u8,
    /// Releases, extensions and redrives, which could go on for ever, and cancels.
    pub(crate) detours: u8,
}

/// A call of a holder, from its sending until its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    Claim,
    /// Half a torn claim: it has read this id.
    TornClaim(Id),
    /// Whether it is an ack, a retry, a bury or a release is left open until it executes.
    Settle(Receipt),
    Extend(Receipt),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Holder {
    pub(crate) receipt: Option<Receipt>,
    /// Its lease has not ended. It counts from the moment that the server granted it: holders count
    /// from when they asked, so they never believe in it for longer.
    pub(crate) live: bool,
    pub(crate) call: Option<Call>,
}

/// What the model knows of a message, whatever the server says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    /// Pushes that made it: the second after it was gone.
    pub(crate) lives: u8,
    /// Accepted, and neither acknowledged nor cancelled.
    pub(crate) owed: bool,
    /// How often it was handed out in this life.
    pub(crate) deliveries: u8,
    /// The delivery that is neither settled nor taken back.
    pub(crate) out: Option<u8>,
}

/// What no step may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    SettledTwice,
    LateReceipt,
    AttemptFell,
    DiedEarly,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) server: Server,
    /// In their order: which of two equal holders is which makes no difference.
    pub(crate) holders: [Holder; HOLDERS],
    /// Calls on their way whose answers nobody awaits.
    pub(crate) strays: Vec<Call>,
    faults: u8,
    detours: u8,
    pub(crate) known: [Known; MESSAGES as usize],
    pub(crate) broken: Option<Broken>,
    /// A receipt of an earlier life was accepted: it is valid once in the life of a record, and a push
    /// that comes again after its message is gone makes a new record.
    pub(crate) outlived: bool,
}

impl Call {
    /// What the call may turn out to be.
    pub(crate) fn requests(self) -> Vec<Request> {
        match self {
            Self::Claim | Self::TornClaim(_) => vec![Request::Claim],
            Self::Extend(receipt) => vec![Request::Extend(receipt)],
            Self::Settle(receipt) => vec![
                Request::Ack(receipt),
                Request::Retry(receipt, When::Now),
                Request::Retry(receipt, When::Later),
                Request::Bury(receipt),
                Request::Release(receipt, When::Now),
                Request::Release(receipt, When::Later),
            ],
        }
    }
}

impl Known {
    /// For the delivery that is out, with the line as it was handed out.
    pub(crate) fn receipt(self, id: Id, of: Line) -> Receipt {
        let Self { lives: life, deliveries: delivery, .. } = self;
        Receipt { id, attempt: of.deliveries + 1, failures: of.failures, life, delivery }
    }
}

impl State {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            server: Server::default(),
            holders: [Holder::default(); HOLDERS],
            strays: Vec::new(),
            faults: bounds.faults,
            detours: bounds.detours,
            known: [Known::default(); MESSAGES as usize],
            broken: None,
            outlived: false,
        }
    }

    pub(crate) fn fault(&mut self) -> Option<()> {
        self.faults = self.faults.checked_sub(1)?;
        Some(())
    }

    pub(crate) fn detour(&mut self) -> Option<()> {
        self.detours = self.detours.checked_sub(1)?;
        Some(())
    }

    pub(crate) fn stray(&mut self, call: Option<Call>) {
        self.strays.extend(call);
        self.strays.sort_unstable();
    }

    /// All is settled or dead.
    pub(crate) fn drained(&self) -> bool {
        let server = &self.server;
        server.ready.is_empty() && server.scheduled.is_empty() && server.pending.is_empty()
    }

    fn of(&mut self, id: Id) -> &mut Known {
        &mut self.known[usize::from(id)]
    }

    fn breaks(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    /// Keeps what the model knows, and notes what no step may do.
    pub(crate) fn note(&mut self, before: &Server, request: Request, word: Word) {
        match (request, word) {
            (Request::Push(id), Word::Ready | Word::Scheduled) => {
                let lives = self.of(id).lives + 1;
                *self.of(id) = Known { lives, owed: true, deliveries: 0, out: None };
            }
            (_, Word::Handed(id, _)) => {
                let known = self.of(id);
                known.deliveries += 1;
                known.out = Some(known.deliveries);
            }
            (Request::Cancel(id), Word::Cancelled) => self.gone(id),
            (Request::Redeliver, _) => {
                for id in 0..MESSAGES {
                    if before.pending.holds(id) && !self.server.pending.holds(id) {
                        self.of(id).out = None;
                    }
                }
            }
            _ => {}
        }
        if let Some(receipt) = request.receipt() {
            self.note_receipt(before, receipt, word);
        }
        for id in 0..MESSAGES {
            let (old, new) = (before.line(id), self.server.line(id));
            if before.has(id) && self.server.has(id) && new.deliveries < old.deliveries {
                self.breaks(Broken::AttemptFell);
            }
            let died = self.server.dead.contains(&id) && !before.dead.contains(&id);
            let buried = matches!(request, Request::Bury(_));
            if died && !buried && new.failures < MAX_ATTEMPTS {
                self.breaks(Broken::DiedEarly);
            }
        }
    }

    fn note_receipt(&mut self, before: &Server, receipt: Receipt, word: Word) {
        if word == Word::Lost {
            if self.server != *before {
                self.breaks(Broken::LateReceipt);
            }
            return;
        }
        let known = *self.of(receipt.id);
        match known.out {
            _ if receipt.life != known.lives => self.outlived = true,
            None => self.breaks(Broken::SettledTwice),
            Some(out) if out != receipt.delivery => self.breaks(Broken::LateReceipt),
            Some(_) => {}
        }
        match word {
            Word::Extended => {}
            Word::Acked => self.gone(receipt.id),
            _ => self.of(receipt.id).out = None,
        }
    }

    fn gone(&mut self, id: Id) {
        let lives = self.of(id).lives;
        *self.of(id) = Known { lives, ..Known::default() };
    }
}
