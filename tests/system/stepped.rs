//! The checker: what a master with another clock ends too soon or too late is allowed, and nothing else.

use crate::history::check::{Summary, check};
use crate::history::{Answer, How, Trouble, Verdict};
use crate::verdicts::{Story, write};

const MINUTE: i64 = 60_000;

/// What is said of a message when another clock rules from some time within 10 ms on.
fn judged(story: &Story, from: u64, ahead_ms: i64) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.ndjson", &story.events);
    write(folder.path(), "b.troubles", &[Trouble::Step { from, until: from + 10, ahead_ms }]);
    let Summary { verdicts, undone, unreplicated, .. } = check(folder.path()).unwrap();
    assert_eq!((undone, unreplicated, verdicts.len()), (0, 0, 1));
    verdicts.into_keys().next().unwrap()
}

#[test]
fn a_lease_may_end_early_where_a_clock_ahead_has_taken_over_since() {
    // Claimed at 1100 for 1 s, and by another one at 1500.
    let twice = || Story::confirmed().start(1, 1_100).start(2, 1_500).ack(1_550);
    assert_eq!(judged(&twice(), 1_300, MINUTE), Verdict::ClockStepped);
    assert_eq!(judged(&twice(), 1_500, MINUTE), Verdict::ClockStepped);
    for (from, ahead_ms) in [(1_000, MINUTE), (1_501, MINUTE), (1_300, -MINUTE)] {
        assert_eq!(judged(&twice(), from, ahead_ms), Verdict::Overlap, "{from} {ahead_ms}");
    }
}

#[test]
fn a_delay_may_end_early_where_a_clock_ahead_has_taken_over_since() {
    // Pushed at 1000, due at 1100.
    let early = || Story::confirmed().start(1, 1_050).ack(1_060);
    assert_eq!(judged(&early(), 1_020, MINUTE), Verdict::ClockStepped);
    for (from, ahead_ms) in [(900, MINUTE), (1_051, MINUTE), (1_020, -MINUTE)] {
        assert_eq!(judged(&early(), from, ahead_ms), Verdict::Early, "{from} {ahead_ms}");
    }
    for how in [How::Retry, How::Release] {
        for answer in [Some(Answer::Done), None] {
            let settled = || Story::confirmed().start(1, 1_100).settle(how, 1_200, 500, answer);
            let again = || settled().start(2, 1_300).ack(1_350);
            assert_eq!(judged(&again(), 1_250, MINUTE), Verdict::ClockStepped, "{how:?}");
            assert_eq!(judged(&again(), 1_250, -MINUTE), Verdict::Early, "{how:?}");
        }
        // Who asked after the clock had gone ahead was answered by it.
        let done = Story::confirmed().start(1, 1_100).settle(how, 1_200, 500, Some(Answer::Done));
        assert_eq!(judged(&done.start(2, 1_300).ack(1_350), 1_150, MINUTE), Verdict::Early);
    }
}

#[test]
fn what_a_clock_behind_has_taken_over_may_come_so_much_later_and_no_later_than_that() {
    // Due at 1100 or, as nobody knows better, 1110; 6 s later it is late.
    let first = |claimed| Story::confirmed().start(1, claimed).ack(claimed + 50);
    assert_eq!(judged(&first(67_110), 1_050, -MINUTE), Verdict::Ok);
    assert_eq!(judged(&first(67_111), 1_050, -MINUTE), Verdict::Late);
    assert_eq!(judged(&first(7_111), 1_050, MINUTE), Verdict::Late);
    assert_eq!(judged(&first(7_111), 900, -MINUTE), Verdict::Late);
    // The lease ends at 2100, as far as anybody knows at 2150.
    let held = || Story::confirmed().start(1, 1_100).settle(How::Ack, 1_150, 0, None);
    let again = |claimed| held().start(2, claimed).ack(claimed + 50);
    assert_eq!(judged(&again(68_150), 1_500, -MINUTE), Verdict::DuplicatedAfterExpiry);
    assert_eq!(judged(&again(68_151), 1_500, -MINUTE), Verdict::Late);
    assert_eq!(judged(&again(8_151), 1_000, -MINUTE), Verdict::Late);
}

#[test]
fn no_clock_excuses_anything_but_a_time() {
    let claimed = || Story::confirmed().start(1, 1_100);
    let acked = || claimed().ack(1_150).start(2, 1_200).ack(1_250);
    let stale = || claimed().ack(2_300).start(2, 2_150);
    for ahead_ms in [MINUTE, -MINUTE] {
        assert_eq!(judged(&claimed(), 1_120, ahead_ms), Verdict::Lost);
        assert_eq!(judged(&acked(), 1_170, ahead_ms), Verdict::Zombie);
        assert_eq!(judged(&stale(), 1_500, ahead_ms), Verdict::StaleAccept);
        let same = claimed().start(1, 2_200).ack(2_250);
        assert_eq!(judged(&same, 1_500, ahead_ms), Verdict::Overlap);
    }
}
