//! The checker: what a failover may have undone is counted apart and fails nothing, all else fails.

use redeliver::MessageId;

use crate::history::check::{Summary, check};
use crate::history::{Answer, Event, How, Trouble, Verdict};
use crate::verdicts::{HASH, LEASE, Story, write};

/// What is said of a message when a failover may have undone what happened in 100 ms.
fn judged(story: &Story, from: u64) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.ndjson", &story.events);
    let failover = Trouble::Failover { from, until: from + 100 };
    write(folder.path(), "b.troubles", &[failover]);
    check(folder.path()).unwrap()
}

fn counted(story: &Story, from: u64) -> (u64, u64, bool) {
    let summary = judged(story, from);
    (summary.unreplicated, summary.undone, summary.passes())
}

#[test]
fn a_push_that_only_the_old_master_had_is_counted_as_unreplicated() {
    for answer in [Answer::Done, Answer::Unproven] {
        // Carried out between 1000 and 1010, and never seen again.
        let gone = Story::pushed(Some(answer));
        for (from, excused) in [(900, false), (901, true), (1_010, true), (1_011, false)] {
            assert_eq!(counted(&gone, from), (u64::from(excused), 0, excused), "{answer:?} {from}");
        }
    }
    // Nobody was told of the push, but a holder had the message from 1100 on.
    let seen = Story::pushed(None).start(1, 1_100);
    assert_eq!(counted(&seen, 1_050), (1, 0, true));
    assert_eq!(counted(&seen, 1_101), (0, 0, false));
}

#[test]
fn a_proven_push_is_lost_whatever_a_failover_undid() {
    let proven = || Story::pushed(Some(Answer::Proven));
    let lost = |story: &Story, from: u64| {
        let summary = judged(story, from);
        assert_eq!((summary.pushes.proven, summary.pushes.proven_lost), (1, 1));
        assert_eq!((summary.unreplicated, summary.undone), (0, 0));
        summary.count(Verdict::Lost) == 1 && !summary.passes()
    };
    assert!(lost(&proven(), 1_005));
    assert!(lost(&proven().start(1, 1_100), 1_050));
    // That a claim was undone looks worse than a loss, and hides none.
    assert!(lost(&proven().start(1, 1_100).start(1, 1_150), 1_120));
}

#[test]
fn a_claim_that_was_undone_excuses_no_loss() {
    let twice = Story::confirmed().start(1, 1_100).start(1, 1_150);
    let summary = judged(&twice, 1_120);
    assert_eq!((summary.count(Verdict::Lost), summary.undone), (1, 0));
    assert_eq!(counted(&twice, 1_005), (1, 0, true));
}

#[test]
fn an_ack_or_a_claim_that_was_undone_is_allowed_however_safe_the_push() {
    for answer in [Answer::Done, Answer::Unproven, Answer::Proven] {
        // Acknowledged at 1150, which the new master does not know.
        let pushed = || Story::pushed(Some(answer)).start(1, 1_100);
        let twice = || pushed().ack(1_150).start(2, 2_200).ack(2_250);
        assert_eq!(counted(&twice(), 1_140), (0, 1, true));
        // It may have been carried out only after the master hung.
        assert_eq!(counted(&twice(), 2_100), (0, 1, true));
        assert_eq!(counted(&twice(), 5_300), (0, 0, false));
        let claimed = pushed().start(1, 1_200).settle(How::Ack, 1_250, 0, None);
        assert_eq!(counted(&claimed, 1_050), (0, 1, true));
    }
}

#[test]
fn nothing_undone_makes_a_message_that_was_never_pushed() {
    let id = MessageId::generate();
    let start =
        Event::Start { id, attempt: 1, claimed: 1_100, lease: LEASE, failures: 0, hash: HASH };
    let made_up = Story { id, events: vec![start] };
    assert_eq!(counted(&made_up, 1_050), (0, 0, false));
}

#[test]
fn what_was_confirmed_is_counted_by_what_was_confirmed_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = Vec::new();
    for answer in [Answer::Done, Answer::Unproven, Answer::Unproven, Answer::Proven] {
        events.append(&mut Story::pushed(Some(answer)).start(1, 1_100).ack(1_150).events);
    }
    for answer in [Some(Answer::Done), Some(Answer::Refused), Some(Answer::Unknown), None] {
        events.append(&mut Story::pushed(answer).events);
    }
    write(folder.path(), "a.ndjson", &events);
    let pushes = check(folder.path()).unwrap().pushes;
    assert_eq!(
        pushes.to_string(),
        "lost of those confirmed: memory 1 of 2, replicated 0 of 1, accepted but not proven 0 of 2"
    );
    let told = (pushes.memory_pushed, pushes.unproven, pushes.proven);
    assert_eq!((told, pushes.memory_lost), ((2, 2, 1), 1));
    assert_eq!((pushes.unproven_lost, pushes.proven_lost), (0, 0));
}
