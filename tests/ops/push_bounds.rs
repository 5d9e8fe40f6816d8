//! What push takes at its limits, and what it refuses.

use redeliver::{DEFAULT_PAYLOAD_LIMIT, Error, MAX_DELAY, Message, Pushed, Raw};

use crate::fixture::{Fixture, SECOND};

#[tokio::test]
async fn push_refuses_any_other_form_of_due_time() {
    let fixture = Fixture::new().await;
    fixture.every_state().await;
    let forms = [
        "",
        "@",
        "-5",
        "+5",
        "0x10",
        "1.5",
        "1e3",
        " 1",
        "1 ",
        "1\n",
        "@-1",
        "@1.5",
        "@@1",
        "1@",
        "nan",
        "inf",
        "9007199254740991",
        "9007199254740992",
        "@9007199254740992",
        "99999999999999999999",
    ];
    for due in forms {
        let argv = ["1", "0\n\na", "k", "0", "2", "0\n\nb", "", due];
        fixture.refused("push", &argv, "BADARG");
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_takes_1000_items_and_refuses_more() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    let items: Vec<_> =
        (0..=1000).map(|id| [id.to_string(), "0\n\n".into(), String::new(), "0".into()]).collect();
    let argv: Vec<_> = items.iter().flatten().map(String::as_str).collect();
    fixture.refused("push", &argv, "BADARG");
    fixture.refused("push", &argv[..5], "BADARG");
    fixture.refused("push", &[], "BADARG");
    fixture.refused("push", &["", "0\n\n", "", "0"], "BADARG");
    let outcomes: Vec<String> = fixture.call("push", &argv[4..]);
    assert_eq!(outcomes, vec!["ready"; 1000]);
    assert_eq!(fixture.states().await, [1001, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_takes_1000_items_when_each_is_delayed_and_keyed() {
    let fixture = Fixture::new().await;
    let items: Vec<_> = (0..1000)
        .map(|id| [id.to_string(), "0\n\n".into(), format!("key {id}"), (60_000 + id).to_string()])
        .collect();
    let argv: Vec<_> = items.iter().flatten().map(String::as_str).collect();
    let outcomes: Vec<String> = fixture.call("push", &argv);
    assert_eq!(outcomes, vec!["scheduled"; 1000]);
    let again: Vec<Vec<String>> = fixture.call("push", &argv);
    assert_eq!(again[999], ["duplicate", "999", "scheduled"]);
    assert_eq!(fixture.len("keyed"), 2000);
    assert_eq!(fixture.states().await, [0, 1000, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_carries_any_bytes() {
    let fixture = Fixture::new().await;
    let all: Vec<u8> = (0..=255).collect();
    for payload in [all, vec![], b"\n\n".to_vec(), b"3\n{}\n".to_vec(), vec![0; 3]] {
        fixture.queue.push(Raw(payload.clone())).await.unwrap();
        let delivery = fixture.claim().await;
        assert_eq!(delivery.bytes(), payload);
        assert_eq!(delivery.max_attempts(), 3);
        let _settled = delivery.ack().await.unwrap();
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_takes_a_payload_at_the_limit_and_refuses_one_above() {
    let fixture = Fixture::new().await;
    let most = Raw(vec![255; DEFAULT_PAYLOAD_LIMIT]);
    fixture.queue.push(most.clone()).await.unwrap();
    let before = fixture.dump();
    let above = || Raw(vec![255; DEFAULT_PAYLOAD_LIMIT + 1]);
    let refused = fixture.queue.push(above()).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { what: "payload", .. }), "{refused}");
    // A list is checked whole before anything is sent.
    let list = [Raw::from("small"), above()];
    assert!(fixture.queue.push_all(list).await.unwrap_err().is_invalid());
    assert!(fixture.dump() == before, "a refused push wrote something");
    assert_eq!(fixture.claim().await.bytes(), most.0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_refuses_a_delay_above_ten_years() {
    let fixture = Fixture::new().await;
    let message = |delay| Message::new(Raw::from("a")).delay(delay);
    let most = fixture.queue.push(message(MAX_DELAY)).await.unwrap();
    assert!(matches!(most, Pushed::Scheduled(_)));
    let before = fixture.dump();
    let above = fixture.queue.push(message(MAX_DELAY + SECOND)).await;
    assert!(above.unwrap_err().is_invalid());
    assert!(fixture.dump() == before);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_takes_any_key_of_up_to_256_bytes() {
    let fixture = Fixture::new().await;
    let long = "k".repeat(256);
    let keys = [
        "{}",
        "}{",
        "\n",
        "\0",
        " ",
        "=",
        "=k",
        "ä€𝄞",
        "%d",
        "@1",
        "redis.call('FLUSHALL')",
        "]]--",
        "nil",
        &long,
    ];
    for key in keys {
        let push = || fixture.queue.push(Message::new(Raw::from("a")).key(key));
        let first = push().await.unwrap();
        assert!(matches!(first, Pushed::Ready(_)), "{key:?}: {first:?}");
        let again = push().await.unwrap();
        assert!(matches!(again, Pushed::Duplicate { .. }), "{key:?}");
        assert_eq!(again.id(), first.id());
        let _settled = fixture.claim().await.ack().await.unwrap();
        assert_eq!(fixture.len("keyed"), 0);
    }
    let before = fixture.dump();
    for key in [String::new(), "k".repeat(257), "€".repeat(86)] {
        let message = Message::new(Raw::from("a")).key(key);
        assert!(fixture.queue.push(message).await.unwrap_err().is_invalid());
    }
    assert!(fixture.dump() == before);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_reaches_no_queue_of_a_hostile_name() {
    let fixture = Fixture::new().await;
    let server = fixture.queue.server();
    let long = "n".repeat(65);
    let names = [
        "",
        " ",
        "{}",
        "a{b}",
        "a}b",
        "a\nb",
        "a\0b",
        "ä",
        "a/b",
        "a*",
        "redis.call('FLUSHALL')",
        &long,
    ];
    for name in names {
        let refused = server.queue::<Raw>(name).unwrap_err();
        assert!(matches!(refused, Error::Invalid { what: "queue name", .. }), "{name:?}");
    }
    let name = format!("A-z_0.:{}", "n".repeat(57));
    let queue = server.queue::<Raw>(&name).unwrap();
    queue.push(Raw::from("a")).await.unwrap();
    assert!(queue.check(|_| {}).await.unwrap().is_clean());
    assert!(server.queues().await.unwrap().contains(queue.name()));
    assert_eq!(queue.destroy().await.unwrap(), 1);
    assert!(!server.queues().await.unwrap().contains(queue.name()));
}

#[tokio::test]
async fn push_takes_a_routing_of_256_bytes_and_refuses_a_longer_one() {
    let fixture = Fixture::new().await;
    let [longest, longer] = ["10 4", "100 4"].map(|head| format!("{head}{}", " 1".repeat(126)));
    assert_eq!((longest.len(), longer.len()), (256, 257));
    fixture.refused("push", &[&longer, "1", "0\n\na", "", "0"], "BADARG");
    let placed: Vec<String> = fixture.call("push", &[&longest, "1", "0\n\na", "", "0"]);
    assert_eq!(placed, ["ready"]);
    fixture.assert_law().await;
}
