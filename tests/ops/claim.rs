use std::collections::HashSet;
use std::future::ready;
use std::time::Duration;

use redeliver::{Message, MessageId, Policy, Raw};

use crate::fixture::under_test::{Only, lacks};
use crate::fixture::{Fixture, SECOND, shared};
use crate::pages::{self, LONG, pages_of, push};

/// What claim answers: the word, the deadline, then id, record and line of each message.
fn claim(fixture: &Fixture, limit: &str, bytes: &str, lease: &str) -> Vec<String> {
    fixture.call("claim", &[limit, bytes, lease])
}

#[tokio::test]
async fn claim_hands_out_the_oldest_up_to_its_limit() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(5).await;
    let first = fixture.queue.claim(2).await.unwrap();
    let rest = fixture.queue.claim(1000).await.unwrap();
    assert_eq!((first.len(), rest.len()), (2, 3));
    let claimed: Vec<_> = first.iter().chain(&rest).map(redeliver::Delivery::id).collect();
    assert_eq!(claimed, ids);
    assert_eq!(rest[0].bytes(), b"2");
    assert!(fixture.queue.claim(1).await.unwrap().is_empty());
    assert_eq!(fixture.states().await, [0, 0, 5, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_says_whether_ready_is_empty_or_the_queue_is_paused() {
    let fixture = Fixture::new().await;
    assert_eq!(claim(&fixture, "1", "0", "60000")[0], "empty");
    fixture.push_many(4).await;
    assert_eq!(claim(&fixture, "3", "9999", "60000")[0], "more");
    assert_eq!(claim(&fixture, "1", "9999", "60000")[0], "empty");
    fixture.push("a").await;
    fixture.queue.pause().await.unwrap();
    let paused = claim(&fixture, "1", "9999", "60000");
    assert_eq!((paused[0].as_str(), paused.len()), ("paused", 2));
    assert_eq!(fixture.states().await, [1, 0, 4, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_stops_at_its_byte_budget_and_always_takes_one() {
    let fixture = Fixture::new().await;
    // Records of 3 + 97 bytes, read 16 at a time.
    let payloads = (0..60).map(|_| Raw(vec![b'x'; 97]));
    fixture.queue.push_all(payloads).await.unwrap();
    let mut left = 60;
    for (bytes, taken) in
        [("0", 1), ("199", 1), ("200", 2), ("1600", 16), ("1699", 16), ("1700", 17)]
    {
        let reply = claim(&fixture, "1000", bytes, "60000");
        assert_eq!((reply[0].as_str(), reply.len()), ("more", 2 + 3 * taken), "{bytes}");
        left -= taken;
        assert_eq!(fixture.len("ready"), left as u64);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn claim_sets_the_deadline_that_it_tells() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let earliest = fixture.now_us() / 1000 + 60_000;
    let reply = claim(&fixture, "1", "0", "60000");
    let latest = fixture.now_us() / 1000 + 60_000;
    let deadline: u64 = reply[1].parse().unwrap();
    assert_eq!(fixture.time_of("pending", id), Some(deadline));
    assert!((earliest..=latest).contains(&deadline), "{deadline}");
    assert_eq!(reply[2..], [id.to_string(), "3\n\na".into(), String::new()]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_hands_out_the_attempt_line() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let retried = fixture.claim().await.retry_after(Duration::ZERO, "no").await;
    assert!(retried.is_ok());
    let line = fixture.line_of(id).unwrap();
    assert!(line.starts_with("1 1 3 [["), "{line}");
    assert_eq!(claim(&fixture, "1", "0", "60000")[4], line);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_carries_kind_headers_and_key_of_the_message() {
    let fixture = Fixture::new().await;
    let message =
        Message::new(Raw::from("a")).kind("k").header("h", "v").content_type("text/plain");
    fixture.queue.push(message).await.unwrap();
    let delivery = fixture.claim().await;
    assert_eq!(delivery.header().kind.as_deref(), Some("k"));
    assert_eq!(delivery.header().content_type.as_deref(), Some("text/plain"));
    assert_eq!(delivery.header().headers["h"], "v");
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_takes_1000_messages_and_refuses_more() {
    let fixture = Fixture::new().await;
    fixture.push_many(1001).await;
    let bad = [
        ["1001", "9", "9"],
        ["-1", "9", "9"],
        ["1.5", "9", "9"],
        ["", "9", "9"],
        ["1", "", "9"],
        ["1", "-1", "9"],
        ["1", "9", "0"],
        ["1", "9", "-1"],
        ["1", "9", "1e3"],
        ["1", "9", "9007199254740991"],
        ["1", "9", "9007199254740992"],
    ];
    for argv in bad {
        fixture.refused("claim", &argv, "BADARG");
    }
    fixture.refused("claim", &["1", "9"], "BADARG");
    for limit in [0, 1001] {
        assert!(fixture.queue.claim(limit).await.unwrap_err().is_invalid());
    }
    assert_eq!(fixture.queue.claim(1000).await.unwrap().len(), 1000);
    assert_eq!(fixture.states().await, [1, 0, 1000, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_claim_of_nothing_rings_while_something_is_ready_and_takes_nothing() {
    let fixture = Fixture::new().await;
    let (left, _): (String, u64) = fixture.call("claim", &["0", "9", "9"]);
    assert_eq!((left.as_str(), fixture.len("bell")), ("empty", 0));
    let ids = fixture.push_many(3).await;
    for _ in 0..2 {
        fixture.silence();
        let (left, _): (String, u64) = fixture.call("claim", &["0", "9", "9"]);
        assert_eq!((left.as_str(), fixture.len("bell")), ("more", 1));
    }
    assert_eq!(fixture.ids("ready"), ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_rings_the_bell_again_while_ready_is_left_and_silences_it_after() {
    let fixture = Fixture::new().await;
    fixture.push_many(3).await;
    fixture.silence();
    let _one = fixture.claim().await;
    assert_eq!(fixture.len("bell"), 1);
    let _two = fixture.claim().await;
    assert_eq!(fixture.len("bell"), 1);
    let _three = fixture.claim().await;
    assert_eq!(fixture.len("bell"), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_rings_the_alarm_for_a_lease_below_five_seconds() {
    for (lease, rung) in [("5000", 0), ("4999", 1), ("1", 1)] {
        let fixture = Fixture::new().await;
        fixture.push("a").await;
        claim(&fixture, "1", "0", lease);
        assert_eq!(fixture.len("alarm"), rung, "{lease}");
    }
    let fixture = Fixture::new().await;
    fixture.push_many(2).await;
    claim(&fixture, "1", "0", "1");
    fixture.silence();
    // An earlier deadline is there already.
    claim(&fixture, "1", "0", "4000");
    assert_eq!(fixture.len("alarm"), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_releases_what_nobody_waits_for_any_more() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(5).await;
    tokio::select! {
        biased;
        _ = fixture.queue.claim(5) => panic!("the answer was there before the question"),
        () = ready(()) => {}
    }
    for _ in 0..2000 {
        if fixture.counts().await.released == 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fixture.states().await, [5, 0, 0, 0]);
    assert_eq!(fixture.counts().await.released, 5);
    let back: HashSet<_> = fixture.ids("ready").into_iter().collect();
    assert_eq!(back, ids.iter().map(MessageId::to_string).collect());
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_hands_each_message_to_one_of_many_claimants() {
    let policy = Policy::default().lease(600 * SECOND);
    let fixture = Fixture::on(shared(), policy).await;
    let ids = fixture.push_many(500).await;
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let queue = fixture.other().await;
        claims.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = queue.claim(7).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.iter().map(redeliver::Delivery::id));
            }
        });
    }
    let mut claimed: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    claimed.sort();
    assert_eq!(claimed, ids);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_delivery_tells_when_it_was_claimed_by_the_servers_clock() {
    let fixture = Fixture::new().await;
    fixture.push("x").await;
    let before = fixture.counts().await.now_ms;
    let delivery = fixture.claim().await;
    let claimed_ms = delivery.claimed_ms();
    assert!((before..=fixture.counts().await.now_ms).contains(&claimed_ms));
    let deadline = fixture.time_of("pending", delivery.id()).unwrap();
    assert_eq!(claimed_ms + 600_000, deadline);
}

#[tokio::test]
async fn claim_reads_no_more_records_than_its_budget_may_have_room_for() {
    if lacks(Only::Monitor) {
        return;
    }
    let fixture = pages::queue().await;
    for (length, pages, claimed) in [(100, &[1, 16, 3][..], 20), (LONG, &[1, 2, 1], 3)] {
        push(&fixture, 20, length).await;
        let read = pages_of(&fixture, async {
            let held = fixture.queue.claim(20).await.unwrap();
            assert_eq!(held.len(), claimed, "{length}");
        });
        assert_eq!(read.await, pages, "{length}");
    }
    fixture.assert_law().await;
}
