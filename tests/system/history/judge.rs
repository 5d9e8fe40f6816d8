//! The verdict on one message, from everything that was noted about it.

use serde::Serialize;

use super::trouble::Troubles;
use super::{Answer, Event, How};

/// Two clock readings of one host may disagree by their rounding.
const SLACK_MS: u64 = 2;
/// So long after a holder asked its master may still carry that out: a call waits 2 s for its answer.
const OPEN_CALL_MS: u64 = 3_000;

/// What is to be said of one message; the allowed ones first, then the worse the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Pushed, and settled by an ack or dead with its attempts spent.
    Ok,
    /// The push was refused, and nothing of it was ever seen.
    Refused,
    /// Not pushed, because a message with its key lived.
    Duplicate,
    /// The push has no answer, and the message came all the same.
    Recovered,
    /// The push has no answer, and nothing came of it.
    AbsentUnknown,
    /// Delivered again after a lease ended: the holder was late or dead.
    DuplicatedAfterExpiry,
    /// A push was repeated after its message had come and gone, before the producer got an answer.
    PushedAgain,
    /// The server lost writes that it had confirmed, and what came of it is what had to.
    Undone,
    /// Delivered before it was due or its lease had ended, with a master in between whose clock is ahead.
    ClockStepped,
    /// Delivered long after it was due or its lease had ended, while nothing excused it.
    Late,
    /// Neither acknowledged nor dead, and not there.
    Lost,
    /// Dead with failures left, and nobody buried it.
    PrematureDead,
    /// Delivered with its failures spent.
    OverAttempt,
    /// Delivered before it was due.
    Early,
    /// Delivered or dead after its ack was confirmed.
    Zombie,
    /// Two deliveries held valid leases at the same time.
    Overlap,
    /// A receipt worked that was used up or outdated.
    StaleAccept,
    /// Never pushed, or refused, and there all the same.
    Phantom,
    /// Not the payload that was pushed.
    Corrupt,
}

impl Verdict {
    /// Whether writes that a failover has undone may look so. Nothing undone makes a message that
    /// was never pushed, or another payload.
    pub(crate) fn may_be_undone(self) -> bool {
        !self.is_allowed() && self < Self::Phantom
    }

    pub(crate) fn is_allowed(self) -> bool {
        self < Self::Late
    }
}

/// What is known of one message.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(super) push: Option<Push>,
    pub(super) answer: Option<(Answer, u64)>,
    pub(super) deliveries: Vec<Delivery>,
    settles: Vec<Settle>,
    settled: Vec<(u64, u64, How, Answer)>,
    pub(super) orphans: Vec<Orphan>,
    redrives: Vec<u64>,
    /// Since when writes were lost, and whether nothing was left.
    undone: Vec<(u64, bool)>,
    dead: Option<Dead>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Push {
    pub(super) due: u64,
    pub(super) delay: u64,
    max: u64,
    hash: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    pub(super) claimed: u64,
    pub(super) attempt: u64,
    pub(super) deadline: u64,
    failures: u64,
    hash: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Settle {
    attempt: u64,
    claimed: u64,
    pub(super) at: u64,
    pub(super) how: How,
    pub(super) delay: u64,
    answer: Option<Answer>,
}

/// A delivery whose holder was killed, and when its lease ends in the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orphan {
    pub(super) attempt: u64,
    pub(super) deadline: u64,
}

#[derive(Debug, Clone, Copy)]
struct Dead {
    deliveries: u64,
    failures: u64,
    hash: u64,
}

impl Delivery {
    /// What is to be said if it must not come before `due`, which was set at or after `since`.
    fn not_before(&self, due: u64, since: u64, troubles: &Troubles) -> Verdict {
        if self.claimed + SLACK_MS < due {
            self.too_soon(since, Verdict::Early, troubles)
        } else {
            Verdict::Ok
        }
    }

    /// What has a server's time for its end has come too soon by the host's.
    fn too_soon(&self, since: u64, wrong: Verdict, troubles: &Troubles) -> Verdict {
        if troubles.went_ahead(since, self.claimed) { Verdict::ClockStepped } else { wrong }
    }
}

impl Settle {
    fn is_done(&self) -> bool {
        self.answer == Some(Answer::Done)
    }

    /// Whether it happened, as far as anybody knows.
    fn may_be_done(&self) -> bool {
        !matches!(self.answer, Some(Answer::Lost | Answer::Refused))
    }
}

impl Story {
    pub(crate) fn note(&mut self, event: &Event) {
        match *event {
            Event::Push { at, delay, max, hash, .. } => {
                self.push = Some(Push { due: at + delay, delay, max: max.into(), hash });
            }
            Event::Pushed { by, answer, .. } => self.answer = Some((answer, by)),
            Event::Start { attempt, claimed, lease, failures, hash, .. } => {
                let deadline = claimed + lease;
                self.deliveries.push(Delivery { claimed, attempt, deadline, failures, hash });
            }
            Event::Settle { attempt, claimed, at, how, delay, .. } => {
                self.settles.push(Settle { attempt, claimed, at, how, delay, answer: None });
            }
            Event::Settled { attempt, claimed, how, answer, .. } => {
                self.settled.push((attempt, claimed, how, answer));
            }
            Event::Orphan { attempt, deadline, .. } => {
                self.orphans.push(Orphan { attempt, deadline });
            }
            Event::Redrive { at, .. } => self.redrives.push(at),
            Event::Undone { since, gone, .. } => self.undone.push((since, gone)),
            Event::Dead { deliveries, failures, hash, .. } => {
                self.dead = Some(Dead { deliveries, failures, hash });
            }
        }
    }

    /// Everything is told: deliveries come in their order, answers to their questions.
    pub(crate) fn close(&mut self) {
        self.deliveries.sort_unstable_by_key(|delivery| (delivery.claimed, delivery.attempt));
        for &(attempt, claimed, how, answer) in &self.settled {
            let mine = |settle: &&mut Settle| {
                (settle.attempt, settle.claimed, settle.how) == (attempt, claimed, how)
                    && settle.answer.is_none()
            };
            if let Some(settle) = self.settles.iter_mut().find(mine) {
                settle.answer = Some(answer);
            }
        }
    }

    /// What was confirmed of its push.
    pub(crate) fn confirmed(&self) -> Option<Answer> {
        self.answer.map(|(answer, _)| answer).filter(|answer| answer.is_done())
    }

    /// Whether nothing says that it was handled or rests in the dead letters.
    pub(crate) fn is_gone(&self) -> bool {
        let acked = |it: &Settle| it.how == How::Ack && it.may_be_done();
        self.dead.is_none() && !self.settles.iter().any(acked)
    }

    /// Whether a failover may have undone its push: it was not proven, and carried out while nobody but
    /// the master may have had it.
    pub(crate) fn push_may_be_undone(&self, troubles: &Troubles) -> bool {
        let proven = self.confirmed() == Some(Answer::Proven);
        let pushed = self.pushed_between();
        !proven && pushed.is_some_and(|(from, until)| troubles.may_undo(from, until))
    }

    /// Between which times the push was carried out, if it ever was.
    fn pushed_between(&self) -> Option<(u64, u64)> {
        let push = self.push?;
        let seen = self.deliveries.first().map(|first| first.claimed);
        let by = self.answer.map(|(_, by)| by).or(seen)?;
        Some((push.due - push.delay, by))
    }

    /// Whether a failover may have undone its push, a claim, or what a holder did.
    pub(crate) fn may_be_undone(&self, troubles: &Troubles) -> bool {
        let claimed = self.deliveries.iter().map(|delivery| (delivery.claimed, delivery.claimed));
        let settled = self.settles.iter().map(|settle| (settle.at, settle.at + OPEN_CALL_MS));
        let mut times = claimed.chain(settled);
        self.push_may_be_undone(troubles)
            || times.any(|(from, until)| troubles.may_undo(from, until))
    }

    /// The worst that can be said, lateness apart.
    pub(crate) fn verdict(&self, troubles: &Troubles) -> Verdict {
        let Some(push) = self.push else { return Verdict::Phantom };
        let hashes = self.deliveries.iter().map(|delivery| delivery.hash);
        if hashes.chain(self.dead.map(|dead| dead.hash)).any(|hash| hash != push.hash) {
            return Verdict::Corrupt;
        }
        let seen = !self.deliveries.is_empty() || self.dead.is_some();
        match self.answer {
            Some((Answer::Refused, _)) if seen => return Verdict::Phantom,
            Some((Answer::Refused, _)) => return Verdict::Refused,
            Some((Answer::Duplicate, _)) if !seen => return Verdict::Duplicate,
            Some((Answer::Unknown, _)) | None if !seen => return Verdict::AbsentUnknown,
            _ => {}
        }
        let pushed = push.due - push.delay;
        let early = self.deliveries.iter().map(|it| it.not_before(push.due, pushed, troubles));
        let early = early.max().unwrap_or(Verdict::Ok);
        if self.is_undone() {
            return self.after_loss().max(early);
        }
        let pairs = self.deliveries.windows(2);
        let pairs = pairs.map(|pair| self.between(pair[0], pair[1], troubles));
        let worst = pairs.max().unwrap_or(Verdict::Ok).max(self.end(push)).max(self.receipts());
        worst.max(early)
    }

    pub(super) fn is_undone(&self) -> bool {
        !self.undone.is_empty()
    }

    /// Whoever lost writes has forgotten claims, receipts and failures; but what was confirmed before
    /// is still to be handled.
    fn after_loss(&self) -> Verdict {
        let acked = self.settles.iter().any(|it| it.how == How::Ack && it.may_be_done());
        let pushed_since = |since| match self.answer {
            Some((answer, by)) if answer.is_done() => by >= since,
            _ => true,
        };
        let may_be_gone = self.undone.iter().any(|&(since, gone)| gone && pushed_since(since));
        let is_there = acked || self.dead.is_some() || may_be_gone;
        if is_there { Verdict::Undone } else { Verdict::Lost }
    }

    /// Whether it may have come back from the dead letters between two deliveries.
    pub(super) fn is_redriven(&self, one: &Delivery, next: &Delivery) -> bool {
        self.redrives.iter().any(|at| one.claimed <= *at && *at <= next.claimed + SLACK_MS)
    }

    pub(super) fn settles_of(&self, delivery: Delivery) -> impl Iterator<Item = &Settle> {
        let of = (delivery.attempt, delivery.claimed);
        self.settles.iter().filter(move |settle| (settle.attempt, settle.claimed) == of)
    }

    /// Whether the push may have been repeated after the message was acknowledged: a repeated push
    /// of a message that is gone makes it anew, from its first attempt on.
    fn may_be_pushed_again(&self, before: u64) -> bool {
        let acks = self.settles.iter().filter(|it| it.how == How::Ack && it.may_be_done());
        let open_until = match self.answer {
            Some((Answer::Unknown, _)) | None => u64::MAX,
            Some((_, by)) => by,
        };
        acks.map(|ack| ack.at).any(|at| at <= open_until && at <= before.saturating_add(SLACK_MS))
    }

    /// What the next delivery says of the one before it.
    fn between(&self, one: Delivery, next: Delivery, troubles: &Troubles) -> Verdict {
        let again = self.may_be_pushed_again(next.claimed);
        if next.attempt <= one.attempt {
            return if again { Verdict::PushedAgain } else { Verdict::Overlap };
        }
        let redriven = self.is_redriven(&one, &next);
        let mut deadline = one.deadline;
        let mut allowed_from = None;
        for settle in self.settles_of(one) {
            let outdated = next.claimed + SLACK_MS < settle.at;
            match settle.how {
                _ if outdated && settle.is_done() => return Verdict::StaleAccept,
                _ if outdated || !settle.may_be_done() => {}
                How::Bury | How::Retry if redriven => return Verdict::Ok,
                How::Ack | How::Bury if settle.is_done() => {
                    return if again { Verdict::PushedAgain } else { Verdict::Zombie };
                }
                How::Retry | How::Release if settle.is_done() => {
                    return next.not_before(settle.at + settle.delay, settle.at, troubles);
                }
                How::Retry | How::Release => allowed_from = Some(settle.at + settle.delay),
                How::Extend if settle.is_done() => {
                    deadline = deadline.max(settle.at + settle.delay);
                }
                How::Ack | How::Bury | How::Extend => {}
            }
        }
        let at = next.claimed + SLACK_MS;
        match allowed_from {
            Some(due) if at >= due => Verdict::Ok,
            _ if redriven => Verdict::Ok,
            _ if at >= deadline => Verdict::DuplicatedAfterExpiry,
            _ if again => Verdict::PushedAgain,
            Some(_) => next.too_soon(one.claimed, Verdict::Early, troubles),
            None => next.too_soon(one.claimed, Verdict::Overlap, troubles),
        }
    }

    /// Each receipt works once.
    fn receipts(&self) -> Verdict {
        for (index, one) in self.settles.iter().enumerate() {
            let mut later = self.settles[index + 1..].iter();
            let ends = |settle: &Settle| settle.is_done() && settle.how != How::Extend;
            let same =
                |other: &Settle| (other.attempt, other.claimed) == (one.attempt, one.claimed);
            if ends(one) && later.any(|other| ends(other) && same(other)) {
                return Verdict::StaleAccept;
            }
        }
        Verdict::Ok
    }

    /// What the end of the run says.
    fn end(&self, push: Push) -> Verdict {
        let released = |it: &&Delivery| self.settles_of(**it).any(|it| it.how == How::Release);
        let failing = self.deliveries.len() - self.deliveries.iter().filter(released).count();
        let spent = |failures: u64| push.max > 0 && failures >= push.max;
        let over = self.deliveries.iter().any(|it| spent(it.failures));
        let again = self.may_be_pushed_again(u64::MAX);
        let lives = 1 + self.redrives.len() as u64;
        if over || (push.max > 0 && failing as u64 > push.max * lives && !again) {
            return Verdict::OverAttempt;
        }
        let acked = |settle: &&Settle| settle.how == How::Ack && settle.may_be_done();
        let acks = self.settles.iter().filter(acked);
        let Some(dead) = self.dead else {
            return match (acks.count(), self.confirmed().is_some()) {
                (0, _) => Verdict::Lost,
                (_, true) => Verdict::Ok,
                (_, false) => Verdict::Recovered,
            };
        };
        if acks.clone().any(Settle::is_done) && !again {
            return Verdict::Zombie;
        }
        let buried = self.settles.iter().any(|it| it.how == How::Bury && it.may_be_done());
        if buried || (spent(dead.failures) && spent(dead.deliveries)) {
            Verdict::Ok
        } else {
            Verdict::PrematureDead
        }
    }
}
