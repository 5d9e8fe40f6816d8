//! What one script does to the queue, in one step: the part of the model that the replay compares with
//! the scripts themselves.
//!
//! The keys are modelled as they are, so that a message could be in two of them or in none. Time is not:
//! of each message with a time it is known only whether that time has come.

pub(crate) type Id = u8;
/// Two are enough for every order in which messages can overtake each other.
pub(crate) const MESSAGES: Id = 2;
/// The other one is pushed with a delay; both are then alike.
pub(crate) const PUSHED_AT_ONCE: Id = 0;
/// Failures after which a message dies: enough for one to come back by each way, and then die.
pub(crate) const MAX_ATTEMPTS: u8 = 2;

/// What settles one delivery. A script is told the id, the attempt and the failures of the new line;
/// the rest is how the model knows better than the server which delivery it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Receipt {
    pub(crate) id: Id,
    pub(crate) attempt: u8,
    /// Failures before this delivery.
    pub(crate) failures: u8,
    /// Which push made the message: a repeated push makes it anew once it is gone.
    pub(crate) life: u8,
    /// Which delivery of this life it is, counted by the model.
    pub(crate) delivery: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Request {
    Push(Id),
    Claim,
    Ack(Receipt),
    Retry(Receipt, When),
    Release(Receipt, When),
    Bury(Receipt),
    Extend(Receipt),
    Redeliver,
    Redrive(Id),
    Cancel(Id),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum When {
    Now,
    Later,
}

impl Request {
    /// The delivery that it settles or extends.
    pub(crate) fn receipt(self) -> Option<Receipt> {
        match self {
            Self::Ack(receipt)
            | Self::Retry(receipt, _)
            | Self::Release(receipt, _)
            | Self::Bury(receipt)
            | Self::Extend(receipt) => Some(receipt),
            _ => None,
        }
    }
}

/// What a script answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Word {
    Ready,
    Scheduled,
    Dead,
    Duplicate,
    Acked,
    Extended,
    Lost,
    Empty,
    /// Handed out, with its line: deliveries and failures.
    Handed(Id, Line),
    Moved {
        promoted: u8,
        reclaimed: u8,
        died: u8,
    },
    Redriven(u8),
    Cancelled,
    Missing,
}

/// An attempt line without its history; a message that has none is at its first delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) deliveries: u8,
    pub(crate) failures: u8,
}

/// A sorted set by time: what is still to come, by id, and what has come, in the order it did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Timed {
    pub(crate) ahead: Vec<Id>,
    pub(crate) come: Vec<Id>,
}

impl Timed {
    pub(crate) fn holds(&self, id: Id) -> bool {
        self.ahead.contains(&id) || self.come.contains(&id)
    }

    pub(crate) fn add(&mut self, id: Id) {
        self.remove(id);
        insert(&mut self.ahead, id);
    }

    pub(crate) fn remove(&mut self, id: Id) {
        self.ahead.retain(|other| *other != id);
        self.come.retain(|other| *other != id);
    }

    pub(crate) fn comes(&mut self, id: Id) {
        self.remove(id);
        self.come.push(id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.come.is_empty()
    }
}

/// Into a list that is kept in the order of the ids.
fn insert(ids: &mut Vec<Id>, id: Id) {
    if let Err(at) = ids.binary_search(&id) {
        ids.insert(at, id);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) ready: Vec<Id>,
    pub(crate) scheduled: Timed,
    pub(crate) pending: Timed,
    pub(crate) dead: Vec<Id>,
    pub(crate) records: [bool; MESSAGES as usize],
    pub(crate) lines: [Option<Line>; MESSAGES as usize],
}

impl Server {
    pub(crate) fn line(&self, id: Id) -> Line {
        self.lines[usize::from(id)].unwrap_or_default()
    }

    pub(crate) fn has(&self, id: Id) -> bool {
        self.records[usize::from(id)]
    }

    /// In how many of the four states it is.
    pub(crate) fn places(&self, id: Id) -> usize {
        let Self { ready, scheduled, pending, dead, .. } = self;
        let timed =
            [scheduled, pending].into_iter().flat_map(|set| set.ahead.iter().chain(&set.come));
        ready.iter().chain(timed).chain(dead).filter(|other| **other == id).count()
    }

    pub(crate) fn state_of(&self, id: Id) -> &'static str {
        if self.scheduled.holds(id) {
            "scheduled"
        } else if self.pending.holds(id) {
            "pending"
        } else if self.dead.contains(&id) {
            "dead"
        } else {
            "ready"
        }
    }

    pub(crate) fn execute(&mut self, request: Request) -> Word {
        match request {
            Request::Push(id) => self.push(id),
            Request::Claim => self.claim(),
            Request::Redeliver => self.redeliver(),
            Request::Redrive(id) => self.redrive(id),
            Request::Cancel(id) => self.cancel(id),
            Request::Ack(receipt)
            | Request::Retry(receipt, _)
            | Request::Release(receipt, _)
            | Request::Bury(receipt)
            | Request::Extend(receipt)
                if !self.held(receipt) =>
            {
                Word::Lost
            }
            Request::Ack(receipt) => self.ack(receipt.id),
            Request::Retry(receipt, when) => self.retry(receipt, when),
            Request::Release(receipt, when) => self.release(receipt, when),
            Request::Bury(receipt) => self.settle(receipt, 1, Word::Dead),
            Request::Extend(receipt) => self.extend(receipt.id),
        }
    }

    fn held(&self, receipt: Receipt) -> bool {
        self.pending.holds(receipt.id) && self.line(receipt.id).deliveries + 1 == receipt.attempt
    }

    fn push(&mut self, id: Id) -> Word {
        if self.has(id) {
            return Word::Duplicate;
        }
        self.records[usize::from(id)] = true;
        if id == PUSHED_AT_ONCE {
            self.ready.push(id);
            return Word::Ready;
        }
        self.scheduled.add(id);
        Word::Scheduled
    }

    fn claim(&mut self) -> Word {
        self.ready.first().copied().map_or(Word::Empty, |id| self.hand_out(id))
    }

    pub(crate) fn hand_out(&mut self, id: Id) -> Word {
        self.ready.retain(|other| *other != id);
        self.pending.add(id);
        Word::Handed(id, self.line(id))
    }

    fn ack(&mut self, id: Id) -> Word {
        self.pending.remove(id);
        self.forget(id);
        Word::Acked
    }

    pub(crate) fn forget(&mut self, id: Id) {
        self.records[usize::from(id)] = false;
        self.lines[usize::from(id)] = None;
    }

    /// Out of pending with the line that the holder sent, to where the word says.
    fn settle(&mut self, receipt: Receipt, spent: u8, to: Word) -> Word {
        let Receipt { id, attempt, failures, .. } = receipt;
        self.lines[usize::from(id)] =
            Some(Line { deliveries: attempt, failures: failures + spent });
        self.pending.remove(id);
        match to {
            Word::Dead => insert(&mut self.dead, id),
            Word::Scheduled => self.scheduled.add(id),
            _ => self.ready.push(id),
        }
        to
    }

    fn retry(&mut self, receipt: Receipt, when: When) -> Word {
        let to = match when {
            _ if receipt.failures + 1 >= MAX_ATTEMPTS => Word::Dead,
            When::Later => Word::Scheduled,
            When::Now => Word::Ready,
        };
        self.settle(receipt, 1, to)
    }

    fn release(&mut self, receipt: Receipt, when: When) -> Word {
        if when == When::Later {
            return self.settle(receipt, 0, Word::Scheduled);
        }
        self.settle(receipt, 0, Word::Ready);
        self.ready.rotate_right(1);
        Word::Ready
    }

    /// The lease may have ended: until the message is taken back, its holder can still extend.
    fn extend(&mut self, id: Id) -> Word {
        self.pending.add(id);
        Word::Extended
    }

    fn redeliver(&mut self) -> Word {
        let due = std::mem::take(&mut self.scheduled.come);
        let overdue = std::mem::take(&mut self.pending.come);
        self.ready.extend(&due);
        let (mut reclaimed, mut died) = (0, 0);
        for id in overdue {
            let Line { deliveries, failures } = self.line(id);
            let line = Line { deliveries: deliveries + 1, failures: failures + 1 };
            self.lines[usize::from(id)] = Some(line);
            if line.failures >= MAX_ATTEMPTS {
                insert(&mut self.dead, id);
                died += 1;
            } else {
                self.ready.push(id);
                reclaimed += 1;
            }
        }
        Word::Moved { promoted: u8::try_from(due.len()).unwrap(), reclaimed, died }
    }

    fn redrive(&mut self, id: Id) -> Word {
        if !self.dead.contains(&id) {
            return Word::Redriven(0);
        }
        self.dead.retain(|other| *other != id);
        let line = Line { failures: 0, ..self.line(id) };
        self.lines[usize::from(id)] = Some(line);
        self.ready.push(id);
        Word::Redriven(1)
    }

    fn cancel(&mut self, id: Id) -> Word {
        if !self.has(id) {
            return Word::Missing;
        }
        self.ready.retain(|other| *other != id);
        self.dead.retain(|other| *other != id);
        self.scheduled.remove(id);
        self.pending.remove(id);
        self.forget(id);
        Word::Cancelled
    }
}
