//! What holds for every verb that takes a receipt.

use std::time::Duration;

use redeliver::{Cancelled, Message, MessageId, Pushed, Raw, Settled};

use crate::fixture::{Fixture, SECOND};

/// A verb that takes receipts, with its ARGV as a client in any language would send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Ack,
    Retry,
    Bury,
    Release,
    Extend,
}

pub(crate) const VERBS: [Verb; 5] =
    [Verb::Ack, Verb::Retry, Verb::Bury, Verb::Release, Verb::Extend];

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Retry => "retry",
            Self::Bury => "bury",
            Self::Release => "release",
            Self::Extend => "extend",
        }
    }

    /// The outcome of an item below whose receipt is good.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Ack => "acked",
            Self::Retry | Self::Release => "scheduled",
            Self::Bury => "dead",
            Self::Extend => "extended",
        }
    }

    /// One item: a minute's delay or lease, one failure of three.
    pub(crate) fn item(self, id: &str, attempt: u64) -> Vec<String> {
        let line = format!("{attempt} 1 3");
        let rest = match self {
            Self::Ack => vec![],
            Self::Retry | Self::Release => vec![line, "60000".into()],
            Self::Bury => vec![line],
            Self::Extend => vec!["60000".into()],
        };
        [vec![id.to_owned(), attempt.to_string()], rest].concat()
    }

    fn settle(self, fixture: &Fixture, receipts: &[(&str, u64)]) -> Vec<String> {
        let items: Vec<_> =
            receipts.iter().flat_map(|(id, attempt)| self.item(id, *attempt)).collect();
        let argv: Vec<_> = items.iter().map(String::as_str).collect();
        fixture.call(self.name(), &argv)
    }

    fn settle_one(self, fixture: &Fixture, id: MessageId, attempt: u64) -> String {
        self.settle(fixture, &[(&id.to_string(), attempt)]).remove(0)
    }

    /// It has to answer `lost`, and to change nothing.
    fn loses(self, fixture: &Fixture, id: MessageId, attempt: u64) {
        let before = fixture.dump();
        assert_eq!(self.settle_one(fixture, id, attempt), "lost", "{self:?}");
        assert!(fixture.dump() == before, "a lost {self:?} wrote something");
    }
}

pub(crate) async fn lost_when_settled_before(verb: Verb) {
    for first in VERBS {
        let fixture = Fixture::new().await;
        let id = fixture.push("a").await;
        let _held = fixture.claim().await;
        assert_eq!(first.settle_one(&fixture, id, 1), first.done());
        if first == Verb::Extend {
            assert_eq!(verb.settle_one(&fixture, id, 1), verb.done());
        } else {
            verb.loses(&fixture, id, 1);
        }
        fixture.assert_law().await;
    }
}

pub(crate) async fn lost_after_redelivery(verb: Verb) {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let _stale = fixture.claim().await;
    fixture.age("pending", id, 3600 * SECOND);
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 1);
    verb.loses(&fixture, id, 1);
    assert_eq!(fixture.claim().await.attempt(), 2);
    verb.loses(&fixture, id, 1);
    assert_eq!(verb.settle_one(&fixture, id, 2), verb.done());
    fixture.assert_law().await;
}

pub(crate) async fn lost_after_release(verb: Verb) {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    assert_eq!(fixture.claim().await.release(Duration::ZERO).await.unwrap(), Settled::Done);
    verb.loses(&fixture, id, 1);
    assert_eq!(fixture.claim().await.attempt(), 2);
    verb.loses(&fixture, id, 1);
    verb.loses(&fixture, id, 3);
    assert_eq!(verb.settle_one(&fixture, id, 2), verb.done());
    fixture.assert_law().await;
}

pub(crate) async fn lost_after_redrive(verb: Verb) {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    fixture.bury(id).await;
    verb.loses(&fixture, id, 1);
    assert_eq!(fixture.queue.dead().redrive(&[id]).await.unwrap(), 1);
    verb.loses(&fixture, id, 1);
    assert_eq!(fixture.claim().await.attempt(), 2);
    verb.loses(&fixture, id, 1);
    assert_eq!(verb.settle_one(&fixture, id, 2), verb.done());
    fixture.assert_law().await;
}

pub(crate) async fn lost_for_a_later_message_of_the_same_key(verb: Verb) {
    let fixture = Fixture::new().await;
    let push = || fixture.queue.push(Message::new(Raw::from("a")).key("k"));
    let first = push().await.unwrap().id();
    assert_eq!(fixture.claim().await.ack().await.unwrap(), Settled::Done);
    let second = push().await.unwrap();
    assert!(matches!(second, Pushed::Ready(id) if id != first), "{second:?}");
    let _held = fixture.claim().await;
    verb.loses(&fixture, first, 1);
    assert_eq!(verb.settle_one(&fixture, second.id(), 1), verb.done());
    fixture.assert_law().await;
}

pub(crate) async fn settles_once_when_a_batch_names_a_receipt_twice(verb: Verb) {
    let fixture = Fixture::new().await;
    let ids: Vec<_> = fixture.push_many(2).await.iter().map(MessageId::to_string).collect();
    let [one, two] = &ids[..] else { unreachable!() };
    let _held = fixture.queue.claim(2).await.unwrap();
    let outcomes = verb.settle(&fixture, &[(one, 2), (one, 1), (two, 1), (one, 1)]);
    assert_eq!(outcomes, ["lost", verb.done(), verb.done(), "lost"]);
    fixture.assert_law().await;
}

pub(crate) async fn holds_between_the_deadline_and_the_reclaim(verb: Verb) {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let _held = fixture.claim().await;
    fixture.age("pending", id, 3600 * SECOND);
    assert_eq!(verb.settle_one(&fixture, id, 1), verb.done());
    let moved = fixture.queue.redeliver(10).await.unwrap();
    assert_eq!((moved.promoted, moved.reclaimed, moved.died), (0, 0, 0));
    fixture.assert_law().await;
}

pub(crate) async fn lost_when_cancelled_meanwhile(verb: Verb) {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let _held = fixture.claim().await;
    assert_eq!(fixture.queue.cancel(&[id]).await.unwrap(), [Cancelled::Done]);
    verb.loses(&fixture, id, 1);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

/// Receipts that are cut short, of no number, or unknown; 1,000 items and one more.
pub(crate) async fn bounded(verb: Verb) {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let id = placed.pending.to_string();
    for attempt in ["", "0", "2", "01", "-1", "1.0", " 1"] {
        if verb == Verb::Ack || verb == Verb::Extend {
            let mut item = verb.item(&id, 1);
            attempt.clone_into(&mut item[1]);
            let argv: Vec<_> = item.iter().map(String::as_str).collect();
            assert_eq!(fixture.call::<Vec<String>>(verb.name(), &argv), ["lost"]);
        }
    }
    for id in [placed.ready, placed.scheduled, placed.dead, MessageId::generate()] {
        verb.loses(&fixture, id, 1);
    }
    let none: Vec<String> = fixture.call(verb.name(), &[]);
    assert!(none.is_empty());

    let item = verb.item(&id, 1);
    let argv: Vec<_> = std::iter::repeat_n(&item, 1001).flatten().map(String::as_str).collect();
    fixture.refused(verb.name(), &argv, "BADARG");
    fixture.refused(verb.name(), &argv[..=item.len()], "BADARG");
    let outcomes: Vec<String> = fixture.call(verb.name(), &argv[item.len()..]);
    assert_eq!(outcomes.len(), 1000);
    assert_eq!(outcomes[0], verb.done());
    assert!(outcomes[1..].iter().all(|outcome| outcome == "lost"));
    fixture.assert_law().await;
}

/// Verbs with an attempt line refuse one that would not raise the attempt by one.
pub(crate) async fn refuses_a_line_that_does_not_fit(verb: Verb) {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await.to_string();
    let _held = fixture.claim().await;
    for line in
        ["", "garbage", "0 1 3", "2 1 3", "1 1", "-1 1 3", "1  1 3", "99999999999999999999 1 3"]
    {
        let mut item = verb.item(&id, 1);
        line.clone_into(&mut item[2]);
        let argv: Vec<_> = item.iter().map(String::as_str).collect();
        fixture.refused(verb.name(), &argv, "BADARG");
        // Also when the item that is at fault is not the first one.
        let good = verb.item(&id, 1);
        let both: Vec<_> = good.iter().chain(&item).map(String::as_str).collect();
        fixture.refused(verb.name(), &both, "BADARG");
    }
    fixture.assert_law().await;
}

/// Delays and leases are digits and nothing else.
pub(crate) async fn refuses_other_forms_of_time(verb: Verb) {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await.to_string();
    let _held = fixture.claim().await;
    for time in
        ["", "-5", "0x10", "1.5", "1e3", " 1", "1 ", "@1", "9007199254740991", "9007199254740992"]
    {
        let mut item = verb.item(&id, 1);
        time.clone_into(item.last_mut().unwrap());
        let argv: Vec<_> = item.iter().map(String::as_str).collect();
        fixture.refused(verb.name(), &argv, "BADARG");
    }
    fixture.assert_law().await;
}

/// Whatever the order of a batch, the earliest of its times is the one that matters.
pub(crate) async fn rings_for_the_earliest_of_its_batch(verb: Verb) {
    for delays in [["4000", "60000"], ["60000", "4000"]] {
        let fixture = Fixture::new().await;
        let ids = fixture.push_many(2).await;
        let _held = fixture.queue.claim(2).await.unwrap();
        fixture.silence();
        let mut argv = Vec::new();
        for (id, delay) in ids.iter().zip(delays) {
            let mut item = verb.item(&id.to_string(), 1);
            delay.clone_into(item.last_mut().unwrap());
            argv.extend(item);
        }
        let argv: Vec<_> = argv.iter().map(String::as_str).collect();
        fixture.call::<Vec<String>>(verb.name(), &argv);
        assert_eq!(fixture.len("alarm"), 1, "{delays:?}");
        fixture.assert_law().await;
    }
}
