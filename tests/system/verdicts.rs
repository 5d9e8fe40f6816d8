//! The checker itself: one history for each verdict, each told apart.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use redeliver::MessageId;
use serde::Serialize;

use crate::history::check::{check, check_by};
use crate::history::synthetic::{self, PLANTED};
use crate::history::{Answer, Event, How, Log, Trouble, Verdict};

pub(crate) const LEASE: u64 = 1_000;
pub(crate) const HASH: u64 = 7;

/// A history of one message in the making.
pub(crate) struct Story {
    pub(crate) id: MessageId,
    pub(crate) events: Vec<Event>,
}

impl Story {
    /// A push at 1000, due at 1100, three attempts.
    pub(crate) fn pushed(answer: Option<Answer>) -> Self {
        let id = MessageId::generate();
        let push = Event::Push { id, at: 1_000, delay: 100, max: 3, hash: HASH };
        let answered = answer.map(|answer| Event::Pushed { id, by: 1_010, answer });
        Self { id, events: std::iter::once(push).chain(answered).collect() }
    }

    pub(crate) fn confirmed() -> Self {
        Self::pushed(Some(Answer::Done))
    }

    pub(crate) fn start(self, attempt: u64, claimed: u64) -> Self {
        self.start_after(attempt - 1, attempt, claimed)
    }

    fn start_after(mut self, failures: u64, attempt: u64, claimed: u64) -> Self {
        let (id, lease, hash) = (self.id, LEASE, HASH);
        self.events.push(Event::Start { id, attempt, claimed, lease, failures, hash });
        self
    }

    /// The last delivery is settled.
    pub(crate) fn settle(mut self, how: How, at: u64, delay: u64, answer: Option<Answer>) -> Self {
        let (id, (attempt, claimed)) = (self.id, self.last());
        self.events.push(Event::Settle { id, attempt, claimed, at, how, delay });
        let settled = answer.map(|answer| Event::Settled { id, attempt, claimed, how, answer });
        self.events.extend(settled);
        self
    }

    pub(crate) fn ack(self, at: u64) -> Self {
        self.settle(How::Ack, at, 0, Some(Answer::Done))
    }

    fn dead(mut self, deliveries: u64, failures: u64) -> Self {
        self.events.push(Event::Dead { id: self.id, deliveries, failures, max: 3, hash: HASH });
        self
    }

    fn redriven(mut self, at: u64) -> Self {
        self.events.push(Event::Redrive { id: self.id, at });
        self
    }

    fn undone(mut self, since: u64, gone: bool) -> Self {
        self.events.push(Event::Undone { id: self.id, since, gone });
        self
    }

    fn last(&self) -> (u64, u64) {
        let starts = self.events.iter().rev().find_map(|event| match event {
            Event::Start { attempt, claimed, .. } => Some((*attempt, *claimed)),
            _ => None,
        });
        starts.unwrap()
    }
}

pub(crate) fn write(folder: &Path, file: &str, lines: &[impl Serialize]) {
    let log = Log::open(&folder.join(file)).unwrap();
    for line in lines {
        log.note(line).unwrap();
    }
}

/// The verdict, whatever the order in which the files are read.
#[track_caller]
fn judged(story: &Story, expected: Verdict) {
    let folder = tempfile::tempdir().unwrap();
    let (even, odd): (Vec<_>, Vec<_>) =
        story.events.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    let of =
        |half: Vec<(usize, &Event)>| half.into_iter().map(|(_, event)| *event).collect::<Vec<_>>();
    write(folder.path(), "b.ndjson", &of(even));
    write(folder.path(), "a.ndjson", &of(odd));
    let summary = check(folder.path()).unwrap();
    assert_eq!(summary.verdicts.into_iter().collect::<Vec<_>>(), [(expected, 1)]);
    assert_eq!(summary.shown.len(), usize::from(!expected.is_allowed()));
}

#[test]
fn what_went_as_promised_is_allowed() {
    judged(&Story::confirmed().start(1, 1_100).ack(1_150), Verdict::Ok);
    // A worker settles by itself.
    judged(&Story::confirmed().start(1, 1_100).settle(How::Ack, 1_150, 0, None), Verdict::Ok);
    let retried = Story::confirmed().start(1, 1_100).settle(How::Retry, 1_150, 50, None);
    judged(&retried.start(2, 1_200).ack(1_210), Verdict::Ok);
    let released = Story::confirmed().start(1, 1_100).settle(How::Release, 1_150, 0, None);
    judged(&released.start_after(0, 2, 1_160).ack(1_170), Verdict::Ok);
    let buried = Story::confirmed().start(1, 1_100).settle(How::Bury, 1_150, 0, None);
    judged(&buried.dead(1, 1), Verdict::Ok);
    judged(&Story::confirmed().dead(3, 3), Verdict::Ok);
    judged(&Story::pushed(Some(Answer::Refused)), Verdict::Refused);
    judged(&Story::pushed(Some(Answer::Duplicate)), Verdict::Duplicate);
}

#[test]
fn a_push_without_an_answer_is_either_there_or_not() {
    judged(&Story::pushed(None), Verdict::AbsentUnknown);
    judged(&Story::pushed(Some(Answer::Unknown)), Verdict::AbsentUnknown);
    judged(&Story::pushed(None).start(1, 1_100).ack(1_150), Verdict::Recovered);
}

#[test]
fn a_delivery_after_the_lease_ended_is_an_allowed_duplicate() {
    let twice = Story::confirmed().start(1, 1_100).start(2, 2_100);
    judged(&twice.ack(2_150), Verdict::DuplicatedAfterExpiry);
    // The first holder came too late and was told so.
    let late = Story::confirmed().start(1, 1_100).settle(How::Ack, 2_500, 0, Some(Answer::Lost));
    judged(&late.start(2, 2_100).ack(2_600), Verdict::DuplicatedAfterExpiry);
}

#[test]
fn a_push_that_was_repeated_after_its_message_had_gone_is_an_allowed_duplicate() {
    let mut story = Story::pushed(None).start(1, 1_100).ack(1_150).start(1, 1_200).ack(1_250);
    judged(&story, Verdict::PushedAgain);
    // Once it had its answer, the producer repeated nothing.
    story.events.push(Event::Pushed { id: story.id, by: 1_120, answer: Answer::Done });
    judged(&story, Verdict::Overlap);
}

#[test]
fn a_confirmed_message_that_is_nowhere_is_lost() {
    judged(&Story::confirmed(), Verdict::Lost);
    judged(&Story::confirmed().start(1, 1_100), Verdict::Lost);
    judged(&Story::pushed(None).start(1, 1_100), Verdict::Lost);
    let refused = Story::confirmed().start(1, 1_100).settle(How::Ack, 1_150, 0, Some(Answer::Lost));
    judged(&refused, Verdict::Lost);
    let retried =
        Story::confirmed().start(1, 1_100).settle(How::Retry, 1_150, 0, Some(Answer::Done));
    judged(&retried, Verdict::Lost);
}

#[test]
fn two_holders_at_one_time_overlap() {
    judged(&Story::confirmed().start(1, 1_100).start(2, 2_000).ack(2_050), Verdict::Overlap);
    judged(&Story::confirmed().start(1, 1_100).start(1, 1_101).ack(1_150), Verdict::Overlap);
    // An extended lease ends later.
    let extended =
        Story::confirmed().start(1, 1_100).settle(How::Extend, 2_000, LEASE, Some(Answer::Done));
    judged(&extended.start(2, 2_500).ack(2_550), Verdict::Overlap);
}

#[test]
fn a_message_that_nobody_pushed_is_a_phantom() {
    let mut story = Story::confirmed().start(1, 1_100).ack(1_150);
    story.events.retain(|event| !matches!(event, Event::Push { .. } | Event::Pushed { .. }));
    judged(&story, Verdict::Phantom);
    judged(&Story::pushed(Some(Answer::Refused)).start(1, 1_100).ack(1_150), Verdict::Phantom);
    judged(&Story::pushed(Some(Answer::Refused)).dead(3, 3), Verdict::Phantom);
}

#[test]
fn another_payload_is_corrupt() {
    let mut story = Story::confirmed().start(1, 1_100).ack(1_150);
    let Event::Start { hash, .. } = &mut story.events[2] else { panic!("{:?}", story.events) };
    *hash += 1;
    judged(&story, Verdict::Corrupt);
}

#[test]
fn a_delivery_before_its_time_is_early() {
    judged(&Story::confirmed().start(1, 1_090).ack(1_095), Verdict::Early);
    let answers = [None, Some(Answer::Done)];
    for answer in answers {
        let retried = Story::confirmed().start(1, 1_100).settle(How::Retry, 1_150, 500, answer);
        judged(&retried.start(2, 1_600).ack(1_650), Verdict::Early);
    }
}

#[test]
fn what_comes_back_after_its_ack_is_a_zombie() {
    judged(
        &Story::confirmed().start(1, 1_100).ack(1_150).start(2, 2_200).ack(2_250),
        Verdict::Zombie,
    );
    judged(&Story::confirmed().start(1, 1_100).ack(1_150).dead(3, 3), Verdict::Zombie);
    let buried = Story::confirmed().start(1, 1_100).settle(How::Bury, 1_150, 0, Some(Answer::Done));
    judged(&buried.start(2, 2_200).ack(2_250), Verdict::Zombie);
}

#[test]
fn a_delivery_beyond_the_last_attempt_is_over_attempt() {
    let spent = Story::confirmed().start_after(3, 4, 1_100).ack(1_150);
    judged(&spent, Verdict::OverAttempt);
    let counted =
        (0..4).fold(Story::confirmed(), |story, n| story.start_after(0, n + 1, 1_100 + n * LEASE));
    judged(&counted.ack(4_150), Verdict::OverAttempt);
}

#[test]
fn a_dead_letter_with_attempts_left_is_premature() {
    judged(&Story::confirmed().start(1, 1_100).dead(1, 1), Verdict::PrematureDead);
    judged(&Story::confirmed().start(1, 1_100).dead(1, 3), Verdict::PrematureDead);
}

#[test]
fn an_outdated_receipt_that_works_is_a_stale_accept() {
    let mut story = Story::confirmed().start(1, 1_100).ack(2_300).start(2, 2_200);
    judged(&story, Verdict::StaleAccept);
    story = Story::confirmed().start(1, 1_100);
    story = story.settle(How::Extend, 2_300, LEASE, Some(Answer::Done)).start(2, 2_200);
    judged(&story.ack(2_400), Verdict::StaleAccept);
    judged(&Story::confirmed().start(1, 1_100).ack(1_150).ack(1_160), Verdict::StaleAccept);
}

#[test]
fn what_an_operator_brings_back_is_no_zombie_and_has_a_new_life() {
    let buried = Story::confirmed().start(1, 1_100).settle(How::Bury, 1_150, 0, Some(Answer::Done));
    judged(&buried.redriven(1_300).start(2, 1_400).ack(1_450), Verdict::Ok);
    let acked = Story::confirmed().start(1, 1_100).ack(1_150).redriven(1_300).dead(3, 3);
    judged(&acked, Verdict::Zombie);
    let story = Story::confirmed().redriven(2_500);
    let lives = (1..=4).fold(story, |story, n| story.start_after(0, n, 100 + n * LEASE));
    judged(&lives.ack(4_200), Verdict::DuplicatedAfterExpiry);
}

#[test]
fn what_the_server_lost_of_a_message_excuses_all_but_its_loss() {
    judged(&Story::confirmed().undone(1_011, true), Verdict::Lost);
    let again = Story::confirmed().start(1, 1_100).ack(1_150).undone(1_120, false);
    judged(&again.start(1, 1_300).ack(1_400), Verdict::Undone);
}

#[test]
fn a_torn_last_line_is_passed_over_and_any_other_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.ndjson", &Story::confirmed().start(1, 1_100).ack(1_150).events);
    let mut file =
        fs::OpenOptions::new().append(true).open(folder.path().join("a.ndjson")).unwrap();
    file.write_all(br#"{"push":{"id":"#).unwrap();
    assert!(check(folder.path()).unwrap().passes());
    file.write_all(b"\n").unwrap();
    let summary = check(folder.path()).unwrap();
    assert!(summary.unreadable == 1 && !summary.passes());
}

/// With `REDELIVER_HISTORY_MESSAGES` of 1,000,000 it takes half a minute without optimization.
#[test]
fn every_planted_verdict_is_found_and_no_other_one() {
    let told = std::env::var("REDELIVER_HISTORY_MESSAGES");
    let messages = told.map_or(20_500, |messages| messages.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(folder.path(), messages).unwrap();
    // In one piece, and dealt out to many files.
    for bucket in [u64::MAX, 100_000] {
        let begun = Instant::now();
        let summary = check_by(folder.path(), bucket).unwrap();
        eprintln!("{messages} messages, {bucket} bytes at a time: {:?}", begun.elapsed());
        assert_eq!((summary.messages, summary.unreadable), (messages, 0));
        for verdict in PLANTED {
            assert_eq!(
                summary.count(verdict),
                synthetic::planted(messages, verdict),
                "{verdict:?}"
            );
        }
    }
}

fn fault(from: u64, until: u64) -> Trouble {
    Trouble::Fault { name: "server".to_owned(), from, until }
}

#[test]
fn a_delivery_long_after_its_time_is_late() {
    judged(&Story::confirmed().start(1, 7_111).ack(7_200), Verdict::Late);
    judged(&Story::confirmed().start(1, 7_110).ack(7_200), Verdict::Ok);
    let expired = Story::confirmed().start(1, 1_100).settle(How::Ack, 1_150, 0, None);
    judged(&expired.start(2, 8_200).ack(8_300), Verdict::Late);
    let retried = Story::confirmed().start(1, 1_100).settle(How::Retry, 1_150, 5_000, None);
    judged(&retried.start(2, 12_000).ack(12_100), Verdict::Ok);
    let retried = Story::confirmed().start(1, 1_100).settle(How::Retry, 1_150, 5_000, None);
    judged(&retried.start(2, 12_200).ack(12_300), Verdict::Late);
    // Whoever does not know when a push happened does not know when it was due.
    judged(&Story::pushed(None).start(1, 60_000).ack(60_100), Verdict::Recovered);
}

#[test]
fn only_a_long_stretch_of_calm_makes_late() {
    let late = || Story::confirmed().start(1, 20_000).ack(20_100);
    let judged_under = |troubles: &[Trouble], expected| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.ndjson", &late().events);
        write(folder.path(), "a.troubles", troubles);
        let summary = check(folder.path()).unwrap();
        assert_eq!(summary.verdicts.into_iter().collect::<Vec<_>>(), [(expected, 1)]);
    };
    judged_under(&[fault(500, 1_500), fault(19_990, 30_000)], Verdict::Late);
    judged_under(&[fault(7_000, 14_000)], Verdict::Ok);
    judged_under(&[fault(7_000, 7_001), fault(13_000, 14_001)], Verdict::Ok);
    judged_under(&[fault(7_000, 13_900)], Verdict::Late);
    let starved = Trouble::Starved { from: 14_000, until: 15_000 };
    judged_under(&[fault(7_000, 13_900), starved], Verdict::Ok);
    let busy = Trouble::Busy { from: 0, until: 20_000 };
    judged_under(&[busy], Verdict::Ok);
}

#[test]
fn what_a_killed_process_held_is_measured_from_the_end_of_its_lease() {
    let figures = |next: u64, troubles: &[Trouble]| {
        let folder = tempfile::tempdir().unwrap();
        let mut story = Story::confirmed().start(1, 1_100);
        story.events.push(Event::Orphan { id: story.id, attempt: 1, deadline: 2_400 });
        write(folder.path(), "a.ndjson", &story.start(2, next).ack(next + 10).events);
        write(folder.path(), "a.troubles", troubles);
        let summary = check(folder.path()).unwrap();
        (summary.passes(), serde_json::to_value(summary.takeovers.figures()).unwrap())
    };
    let told = |cases: u64, over: u64, excused: u64, ms: u64| {
        serde_json::json!({
            "cases": cases, "over": over, "excused": excused, "queued": 0,
            "bound_ms": 100, "p99_ms": ms, "max_ms": ms,
        })
    };
    assert_eq!(figures(2_500, &[]), (true, told(1, 0, 0, 100)));
    assert_eq!(figures(2_501, &[]), (false, told(1, 1, 0, 101)));
    assert_eq!(figures(2_501, &[fault(2_450, 2_460)]), (true, told(0, 0, 1, 0)));
    let unwatched = [Trouble::Unwatched { from: 1_000, until: 2_401 }];
    assert_eq!(figures(2_501, &unwatched), (true, told(0, 0, 1, 0)));
    let starved = |until| [Trouble::Starved { from: 2_450, until }];
    assert_eq!(figures(2_501, &starved(2_475)), (true, told(0, 0, 1, 0)));
    assert_eq!(figures(2_501, &starved(2_474)), (false, told(1, 1, 0, 101)));
}

#[test]
fn whoever_waits_its_turn_in_a_list_that_moves_is_taken_over_in_time() {
    // Others come in until one moment, and are claimed at these.
    let queued = |until: u64, claims: &[u64]| {
        let folder = tempfile::tempdir().unwrap();
        let mut story = Story::confirmed().start(1, 1_100);
        story.events.push(Event::Orphan { id: story.id, attempt: 1, deadline: 2_400 });
        let mut events = story.start(2, 2_700).ack(2_710).events;
        for claimed in claims {
            let id = MessageId::generate();
            events.push(Event::Push { id, at: until - 10, delay: 0, max: 3, hash: HASH });
            events.push(Event::Pushed { id, by: until, answer: Answer::Done });
            let mut other = Story { id, events: Vec::new() }.start(1, *claimed);
            events.append(&mut other.events);
        }
        write(folder.path(), "a.ndjson", &events);
        let takeovers = check(folder.path()).unwrap().takeovers.figures();
        serde_json::to_value(takeovers).unwrap()["queued"] == 1
    };
    assert!(queued(2_500, &[2_550, 2_600, 2_650, 2_680]));
    assert!(!queued(2_500, &[2_550, 2_600, 2_650, 2_660]), "others were through long before");
    assert!(!queued(2_510, &[2_550, 2_600, 2_650, 2_700]), "it came in after its time");
    assert!(!queued(2_500, &[2_550, 2_700]), "nothing moved for a while");
}
