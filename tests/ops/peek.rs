use std::time::Duration;

use redeliver::{MessageId, Raw, State};

use crate::fixture::under_test::{Only, lacks};
use crate::fixture::{Fixture, SECOND};
use crate::pages::{self, LONG, pages_of, push};

#[tokio::test]
async fn peek_shows_each_state_and_touches_nothing() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let before = fixture.dump();
    for (word, id) in placed.ids() {
        let state: State = word.parse().unwrap();
        let page = fixture.queue.peek(state, 0, 10).await.unwrap();
        assert_eq!((page.messages.len(), page.next), (1, None));
        let message = &page.messages[0];
        assert_eq!((message.id, message.state), (id, state));
        assert_eq!(message.payload, word.as_bytes());
        let time = (word != "ready").then(|| fixture.time_of(word, id).unwrap());
        assert_eq!(message.at_ms, time);
        let dead = u64::from(word == "dead");
        assert_eq!((message.attempt, message.failures), (1 + dead, dead));
    }
    let letters = fixture.queue.dead().peek(0, 10).await.unwrap();
    assert_eq!(letters.messages[0].history[0].error, "hopeless");
    assert!(fixture.dump() == before);
    fixture.assert_law().await;
}

#[tokio::test]
async fn peek_pages_through_a_state_in_its_order() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(45).await;
    let mut seen = Vec::new();
    let mut start = Some(0);
    while let Some(from) = start {
        let page = fixture.queue.peek(State::Ready, from, 20).await.unwrap();
        seen.extend(page.messages.iter().map(|message| message.id));
        start = page.next;
    }
    assert_eq!(seen, ids);
    let beyond = fixture.queue.peek(State::Ready, 45, 20).await.unwrap();
    assert_eq!((beyond.messages.len(), beyond.next), (0, None));
    let letters = fixture.queue.dead().peek(7, 20).await.unwrap();
    assert!(letters.messages.is_empty());
    fixture.assert_law().await;
}

#[tokio::test]
async fn peek_stops_at_its_byte_budget_and_always_shows_one() {
    let fixture = Fixture::new().await;
    // Records of 3 + 97 bytes.
    let payloads = (0..60).map(|_| Raw(vec![b'x'; 97]));
    fixture.queue.push_all(payloads).await.unwrap();
    for (bytes, shown) in
        [("0", 1), ("199", 1), ("200", 2), ("1600", 16), ("1700", 17), ("9999", 60)]
    {
        let page: Vec<redis::Value> = fixture.call("peek", &["ready", "0", "1000", bytes]);
        assert_eq!(page.len(), 1 + 4 * shown, "{bytes}");
        let next = if shown == 60 { 0 } else { i64::try_from(shown).unwrap() };
        assert_eq!(page[0], redis::Value::Int(next), "{bytes}");
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn peek_takes_a_ghost_for_no_bytes_and_shows_none_behind_its_budget() {
    let fixture = Fixture::new().await;
    let payloads = (0..16).map(|_| Raw(vec![b'x'; 97]));
    fixture.queue.push_all(payloads).await.unwrap();
    fixture.redis::<()>(&["RPUSH", &fixture.key("ready"), "ghost"]);
    fixture.queue.push(Raw(vec![b'x'; 97])).await.unwrap();
    // The ghost is the first of the second sixteen.
    for (start, bytes, shown) in [("0", "150", 1), ("0", "1600", 16), ("16", "100", 2)] {
        let page: Vec<redis::Value> = fixture.call("peek", &["ready", start, "1000", bytes]);
        assert_eq!(page.len(), 1 + 4 * shown, "{bytes} from {start}");
    }
}

#[tokio::test]
async fn peek_shows_a_ghost_to_scripts_and_leaves_it_out_of_pages() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let ghost = MessageId::generate().to_string();
    fixture.redis::<()>(&["LPUSH", &fixture.key("ready"), &ghost]);
    let page: (i64, String, String, Option<String>, String) =
        fixture.call("peek", &["ready", "0", "1", "0"]);
    assert_eq!(page, (1, ghost, String::new(), None, String::new()));
    let page = fixture.queue.peek(State::Ready, 0, 10).await.unwrap();
    assert_eq!(page.messages.len(), 1);
    assert_eq!(page.messages[0].id, id);
}

#[tokio::test]
async fn peek_shows_1000_messages_and_refuses_more() {
    let fixture = Fixture::new().await;
    fixture.push_many(1001).await;
    let bad = [
        ["ready", "0", "0", "9"],
        ["ready", "0", "1001", "9"],
        ["ready", "-1", "1", "9"],
        ["ready", "0", "1.5", "9"],
        ["ready", "0", "1", ""],
        ["ready", "0", "1", "1e3"],
        ["nowhere", "0", "1", "9"],
        ["messages", "0", "1", "9"],
        ["", "0", "1", "9"],
    ];
    for argv in bad {
        fixture.refused("peek", &argv, "BADARG");
    }
    fixture.refused("peek", &["ready", "0", "1"], "BADARG");
    for limit in [0, 1001] {
        let refused = fixture.queue.peek(State::Ready, 0, limit).await;
        assert!(refused.unwrap_err().is_invalid());
    }
    let page = fixture.queue.peek(State::Ready, 0, 1000).await.unwrap();
    assert_eq!((page.messages.len(), page.next), (1000, Some(1000)));
    let last = fixture.queue.peek(State::Ready, 1000, 1000).await.unwrap();
    assert_eq!((last.messages.len(), last.next), (1, None));
    let far = (u64::pow(2, 53) - 1).to_string();
    let page: Vec<i64> = fixture.call("peek", &["ready", &far, "1000", "0"]);
    assert_eq!(page, [0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn peek_shows_what_a_message_has_been_through() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    let _retried = fixture.claim().await.retry_after(Duration::ZERO, "one").await.unwrap();
    let _released = fixture.claim().await.release(60 * SECOND).await.unwrap();
    let page = fixture.queue.peek(State::Scheduled, 0, 1).await.unwrap();
    let message = &page.messages[0];
    assert_eq!((message.attempt, message.failures, message.max_attempts), (3, 1, 3));
    assert_eq!(message.history[0].error, "one");
    fixture.assert_law().await;
}

#[tokio::test]
async fn peek_reads_no_more_records_than_its_budget_may_have_room_for() {
    if lacks(Only::Monitor) {
        return;
    }
    for (length, pages, shown) in [(100, &[1, 16, 3][..], 20), (LONG, &[1, 2, 1], 3)] {
        let fixture = pages::queue().await;
        push(&fixture, 20, length).await;
        let read = pages_of(&fixture, async {
            let page = fixture.queue.peek(State::Ready, 0, 20).await.unwrap();
            assert_eq!(page.messages.len(), shown, "{length}");
        });
        assert_eq!(read.await, pages, "{length}");
    }
}
