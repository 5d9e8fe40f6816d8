use redeliver::{Error, Limits, Message, Pushed, Raw, State};

use crate::fixture::{Fixture, SECOND};

const MAX: u64 = (1 << 53) - 1;

fn ready(max: u64) -> Limits {
    Limits { max_ready: Some(max), ..Limits::default() }
}

fn bytes(max: u64) -> Limits {
    Limits { max_bytes: Some(max), ..Limits::default() }
}

async fn refused(fixture: &Fixture) -> Error {
    let before = fixture.dump();
    let error = fixture.queue.push(Raw::from("one more")).await.unwrap_err();
    assert!(fixture.dump() == before, "a refused push wrote something");
    error
}

#[tokio::test]
async fn limit_sets_one_cap_and_leaves_the_other() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.queue.limit(Limits::default()).await.unwrap(), hold(0, 0));
    assert_eq!(fixture.queue.limit(ready(3)).await.unwrap(), hold(3, 0));
    assert_eq!(fixture.queue.limit(bytes(9)).await.unwrap(), hold(3, 9));
    assert_eq!(fixture.queue.limit(ready(MAX)).await.unwrap(), hold(MAX, 9));
    let counts = fixture.counts().await;
    assert_eq!((counts.max_ready, counts.max_bytes), (Some(MAX), Some(9)));
    let before = fixture.dump();
    assert_eq!(fixture.queue.limit(ready(MAX)).await.unwrap(), hold(MAX, 9));
    assert!(fixture.dump() == before);
    assert_eq!(fixture.queue.limit(hold(0, 0)).await.unwrap(), hold(0, 0));
    let counts = fixture.counts().await;
    assert_eq!((counts.max_ready, counts.max_bytes), (None, None));
    assert!(fixture.dump().iter().all(Option::is_none), "no cap leaves no trace");
    fixture.assert_law().await;
}

fn hold(max_ready: u64, max_bytes: u64) -> Limits {
    Limits { max_ready: Some(max_ready), max_bytes: Some(max_bytes) }
}

#[tokio::test]
async fn limit_refuses_what_is_no_whole_number() {
    let fixture = Fixture::new().await;
    for bad in [&["-1", ""][..], &["", "1.5"], &["1e3", "1"], &["", "9007199254740992"], &["1"]] {
        fixture.refused("limit", bad, "BADARG");
    }
    fixture.refused("limit", &["1", "1", "1"], "BADARG");
    for beyond in [ready(MAX + 1), bytes(u64::MAX)] {
        assert!(fixture.queue.limit(beyond).await.unwrap_err().is_invalid());
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn limit_on_ready_refuses_the_message_above_it_and_takes_it_once_there_is_room() {
    let fixture = Fixture::new().await;
    fixture.queue.limit(ready(2)).await.unwrap();
    fixture.push("a").await;
    fixture.push("b").await;
    let error = refused(&fixture).await;
    assert!(matches!(error, Error::Limited { cap: "max_ready", limit: 2 }), "{error:?}");
    assert!(error.is_transient() && !error.is_invalid());
    assert_eq!(
        error.to_string(),
        "the queue is full, its max_ready is 2; the message was not pushed"
    );
    let held = fixture.claim().await;
    fixture.push("c").await;
    // What comes back comes back, cap or no cap.
    let _released = held.release(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(fixture.states().await, [3, 0, 0, 0]);
    refused(&fixture).await;
    fixture.queue.limit(ready(0)).await.unwrap();
    fixture.push("d").await;
    fixture.assert_law().await;
}

#[tokio::test]
async fn limit_on_ready_takes_the_delayed_and_answers_duplicates() {
    let fixture = Fixture::new().await;
    let keyed = || Message::new(Raw::from("a")).key("k");
    let first = fixture.queue.push(keyed()).await.unwrap().id();
    fixture.queue.limit(ready(1)).await.unwrap();
    refused(&fixture).await;
    let again = fixture.queue.push(keyed()).await.unwrap();
    assert_eq!(again, Pushed::Duplicate { id: first, state: State::Ready });
    let same_id = fixture.queue.push(Message::new(Raw::from("a")).id(first)).await.unwrap();
    assert_eq!(same_id.id(), first);
    let later = Message::new(Raw::from("later")).delay(3600 * SECOND);
    let later = fixture.queue.push(later).await.unwrap().id();
    fixture.age("scheduled", later, 7200 * SECOND);
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().promoted, 1);
    assert_eq!(fixture.states().await, [2, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn limit_refuses_items_and_not_the_call_that_carries_them() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    fixture.queue.limit(ready(2)).await.unwrap();
    let argv = [
        ["1", "0\n\n", "k", "0"],
        ["2", "0\n\n", "x", "0"],
        ["3", "0\n\n", "", "60000"],
        ["1", "0\n\n", "", "0"],
        ["4", "0\n\n", "k", "0"],
        ["5", "0\n\n", "x", "60000"],
    ];
    let told: Vec<redis::Value> = fixture.call("push", &argv.concat());
    let told: Vec<String> = told.iter().map(|word| format!("{word:?}")).collect();
    let begins = ["ready", "full", "scheduled", "duplicate", "duplicate", "scheduled"];
    for (told, word) in told.iter().zip(begins) {
        assert!(told.contains(word), "{told} for {word}");
    }
    assert_eq!(fixture.ids("scheduled"), ["3", "5"], "the key of a refused item is free");
    assert_eq!(fixture.states().await, [2, 2, 0, 0]);
    assert_eq!(fixture.counts().await.pushed, 4);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_all_ends_with_the_call_that_met_the_cap() {
    let fixture = Fixture::new().await;
    fixture.queue.limit(ready(600)).await.unwrap();
    let many = (0..2000).map(|number: u32| Raw(number.to_string().into()));
    let error = fixture.queue.push_all(many).await.unwrap_err();
    assert!(matches!(error, Error::Limited { .. }), "{error:?}");
    assert_eq!(fixture.states().await, [600, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn limit_on_bytes_refuses_every_new_message_until_records_go() {
    let fixture = Fixture::new().await;
    fixture.queue.limit(bytes(100_000)).await.unwrap();
    let message = || Raw("x".repeat(1000).into());
    let mut pushed = 0_u32;
    let error = loop {
        match fixture.queue.push(message()).await {
            Ok(_) => pushed += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Limited { cap: "max_bytes", limit: 100_000 }), "{error:?}");
    // Each record of 1 kB costs the server somewhat more than that.
    assert!((60..100).contains(&pushed), "{pushed}");
    let delayed = Message::new(message()).delay(SECOND);
    assert!(matches!(fixture.queue.push(delayed).await, Err(Error::Limited { .. })));
    for delivery in fixture.queue.claim(10).await.unwrap() {
        let _settled = delivery.ack().await.unwrap();
    }
    fixture.queue.push(message()).await.unwrap();
    fixture.assert_law().await;
}

#[tokio::test]
async fn limit_on_bytes_holds_within_one_call() {
    let fixture = Fixture::new().await;
    fixture.queue.limit(bytes(100_000)).await.unwrap();
    let many = (0..500).map(|_| Raw("x".repeat(1000).into()));
    assert!(matches!(fixture.queue.push_all(many).await, Err(Error::Limited { .. })));
    let pushed = fixture.counts().await.ready;
    assert!((60..100).contains(&pushed), "{pushed}");
    fixture.assert_law().await;
}

#[tokio::test]
async fn limit_on_bytes_counts_ids_and_records_to_the_byte_where_there_are_none_yet() {
    // 10 bytes and 7.
    let items = ["one", "0\n\nxxxx", "some key", "0", "two", "0\n\ny", "another key", "60000"];
    let (first, second, full) = ("ready", "scheduled", "full");
    let caps = [
        (17, [first, second]),
        (16, [first, full]),
        (10, [first, full]),
        (9, [full, second]),
        (7, [full, second]),
        (6, [full, full]),
        (1, [full, full]),
    ];
    for (cap, expected) in caps {
        let fixture = Fixture::new().await;
        fixture.queue.limit(bytes(cap)).await.unwrap();
        let told: Vec<redis::Value> = fixture.call("push", &items);
        for (told, expected) in told.iter().zip(expected) {
            assert!(format!("{told:?}").contains(expected), "{cap}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_damaged_cap_is_no_cap() {
    let fixture = Fixture::new().await;
    for damage in ["", "garbage", "-1"] {
        let meta = fixture.key("meta");
        fixture.redis::<()>(&["HSET", &meta, "max_ready", damage, "max_bytes", damage]);
        fixture.push("a").await;
        let counts = fixture.counts().await;
        assert_eq!((counts.max_ready, counts.max_bytes), (None, None), "{damage:?}");
    }
    fixture.assert_law().await;
}
