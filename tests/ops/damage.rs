//! Stored data that is not what it should be stops no queue, and loses nothing but itself.

use std::time::Duration;

use redeliver::{Message, MessageId, Pushed, Raw, Rescheduled};

use crate::fixture::{Fixture, SECOND};
use crate::verbs::all_answer;

const LINES: [&str; 9] = [
    "",
    "garbage",
    "-1 0 0",
    "1 2",
    "1 2 x",
    "1  2 3",
    "99999999999999999999 1 3",
    "1 99999999999999999999 3",
    "9007199254740992 0 0",
];
const RECORDS: [&str; 8] = [
    "",
    "x",
    "\n",
    "\n\nx",
    "x\n\nx",
    "-1\n\nx",
    "99999999999999999999999999\n\nx",
    "3",
];

/// Plants an id without a record.
fn ghost(fixture: &Fixture, state: &str) -> MessageId {
    let id = MessageId::generate();
    let (key, text) = (fixture.key(state), id.to_string());
    match state {
        "ready" => fixture.redis::<()>(&["LPUSH", &key, &text]),
        _ => fixture.redis::<()>(&["ZADD", &key, "1", &text]),
    }
    id
}

fn set_line(fixture: &Fixture, id: MessageId, line: &str) {
    fixture.redis::<()>(&["HSET", &fixture.key("attempts"), &id.to_string(), line]);
}

fn set_record(fixture: &Fixture, id: MessageId, record: &str) {
    fixture.redis::<()>(&["HSET", &fixture.key("messages"), &id.to_string(), record]);
}

#[tokio::test]
async fn claim_drops_a_ghost_and_hands_out_the_others() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(20).await;
    ghost(&fixture, "ready");
    ghost(&fixture, "ready");
    let claimed = fixture.queue.claim(7).await.unwrap();
    assert_eq!(
        claimed
            .iter()
            .map(redeliver::Delivery::id)
            .collect::<Vec<_>>(),
        ids[..5]
    );
    assert_eq!(fixture.counts().await.ghosts, 2);
    assert_eq!(fixture.states().await, [15, 0, 5, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_of_nothing_but_ghosts_leaves_ready_empty() {
    let fixture = Fixture::new().await;
    for _ in 0..20 {
        ghost(&fixture, "ready");
    }
    let reply: Vec<String> = fixture.call("claim", &["1000", "0", "60000"]);
    assert_eq!((reply[0].as_str(), reply.len()), ("empty", 2));
    assert_eq!(fixture.counts().await.ghosts, 20);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn claim_hands_out_an_id_once_that_stands_in_ready_twice() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await.to_string();
    fixture.redis::<()>(&["RPUSH", &fixture.key("ready"), &id]);
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 1);
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_drops_a_ghost_in_pending_and_moves_the_others() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let _held = fixture.claim().await;
    fixture.age("pending", id, 3600 * SECOND);
    ghost(&fixture, "pending");
    let moved = fixture.queue.redeliver(10).await.unwrap();
    assert_eq!((moved.reclaimed, moved.died, moved.ghosts), (1, 0, 1));
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    assert_eq!(fixture.ids("ready"), [id.to_string()]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_passes_a_scheduled_ghost_on_to_the_claim_that_drops_it() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    ghost(&fixture, "scheduled");
    assert_eq!(fixture.queue.redeliver(10).await.unwrap().promoted, 1);
    let claimed = fixture.queue.claim(10).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].id()), (1, id));
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0, 0, 1, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrive_passes_a_dead_ghost_on_to_the_claim_that_drops_it() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let ghost = ghost(&fixture, "dead");
    assert_eq!(
        fixture
            .queue
            .dead()
            .redrive(&[ghost, placed.dead])
            .await
            .unwrap(),
        2
    );
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 2);
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0, 1, 3, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn cancel_drops_a_ghost_and_counts_it_as_one() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    for state in ["scheduled", "pending", "dead"] {
        let ghost = ghost(&fixture, state);
        assert_eq!(fixture.queue.cancel(&[ghost]).await.unwrap(), [true]);
        assert_eq!(fixture.states().await, [1, 1, 1, 1]);
    }
    let ghost = ghost(&fixture, "dead");
    assert_eq!(
        fixture.queue.cancel(&[ghost, placed.ready]).await.unwrap(),
        [true; 2]
    );
    let counts = fixture.counts().await;
    assert_eq!((counts.ghosts, counts.cancelled), (4, 1));
    assert_eq!(fixture.states().await, [0, 1, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn cancel_and_reschedule_miss_a_ghost_in_ready_and_claim_drops_it() {
    let fixture = Fixture::new().await;
    let ghost = ghost(&fixture, "ready");
    assert_eq!(fixture.queue.cancel(&[ghost]).await.unwrap(), [false]);
    let due = redeliver::Due::After(SECOND);
    let outcome = fixture.queue.reschedule(&[ghost], due).await.unwrap();
    assert_eq!(outcome, [Rescheduled::Missing]);
    assert!(fixture.queue.claim(1).await.unwrap().is_empty());
    assert_eq!(fixture.counts().await.ghosts, 1);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn purge_and_trim_drop_a_ghost_and_count_it_as_one() {
    let fixture = Fixture::new().await;
    fixture.every_state().await;
    let named = ghost(&fixture, "dead");
    assert_eq!(fixture.queue.dead().purge(&[named]).await.unwrap(), 1);
    ghost(&fixture, "dead");
    let swept = fixture.queue.dead().purge_oldest(1, 1).await.unwrap();
    assert_eq!((swept.done, swept.left), (1, 0));
    ghost(&fixture, "dead");
    assert_eq!(
        fixture.call::<[u64; 2]>("trim", &["10", "60000", "9"]),
        [1, 0]
    );
    let counts = fixture.counts().await;
    assert_eq!((counts.ghosts, counts.purged, counts.trimmed), (3, 0, 0));
    assert_eq!(fixture.states().await, [1, 1, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn ack_of_a_ghost_counts_no_message() {
    let fixture = Fixture::new().await;
    let ghost = ghost(&fixture, "pending").to_string();
    assert_eq!(
        fixture.call::<[String; 1]>("ack", &[&ghost, "1"]),
        ["acked"]
    );
    assert_eq!(fixture.counts().await.acked, 0);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_finds_a_key_free_that_belongs_to_a_ghost() {
    let fixture = Fixture::new().await;
    let ghost = MessageId::generate().to_string();
    fixture.redis::<()>(&["HSET", &fixture.key("keyed"), "=k", &ghost, &ghost, "k"]);
    let push = || fixture.queue.push(Message::new(Raw::from("a")).key("k"));
    let first = push().await.unwrap();
    assert!(matches!(first, Pushed::Ready(_)), "{first:?}");
    assert_eq!(push().await.unwrap().id(), first.id());
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn no_script_raises_over_an_unreadable_attempt_line() {
    for line in LINES {
        all_answer(|fixture, placed| {
            for (_, id) in placed.ids() {
                set_line(fixture, id, line);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_unreadable_attempt_line_reads_as_the_first_delivery() {
    for line in LINES {
        let fixture = Fixture::new().await;
        let id = fixture.push("a").await;
        let retried = fixture
            .claim()
            .await
            .retry_after(Duration::ZERO, "no")
            .await;
        assert!(retried.is_ok());
        set_line(&fixture, id, line);
        let delivery = fixture.claim().await;
        assert_eq!(
            (delivery.attempt(), delivery.failures()),
            (1, 0),
            "{line:?}"
        );
        fixture.age("pending", id, 3600 * SECOND);
        assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 1);
        assert_eq!(fixture.line_of(id).as_deref(), Some("1 1 3"));
        let delivery = fixture.claim().await;
        set_line(&fixture, id, line);
        assert_eq!(delivery.ack().await.unwrap(), redeliver::Settled::Lost);
        assert_eq!(
            fixture.call::<[String; 1]>("ack", &[&id.to_string(), "1"]),
            ["acked"]
        );
        assert_eq!(fixture.len("attempts"), 0);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn no_script_raises_over_a_damaged_record() {
    for record in RECORDS {
        all_answer(|fixture, placed| {
            for (_, id) in placed.ids() {
                set_record(fixture, id, record);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_damaged_record_is_delivered_and_reclaimed() {
    for record in RECORDS {
        let fixture = Fixture::new().await;
        let id = fixture.push("a").await;
        set_record(&fixture, id, record);
        assert_eq!(fixture.claim().await.attempt(), 1);
        fixture.age("pending", id, 3600 * SECOND);
        let moved = fixture.queue.redeliver(10).await.unwrap();
        assert_eq!((moved.reclaimed, moved.ghosts), (1, 0), "{record:?}");
        let max = if record.starts_with("999") {
            "4294967295"
        } else {
            "0"
        };
        assert_eq!(
            fixture.line_of(id),
            Some(format!("1 1 {max}")),
            "{record:?}"
        );
        assert_eq!(fixture.claim().await.attempt(), 2);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn no_script_raises_over_damaged_meta_data() {
    let fields = [
        "watch",
        "pushed",
        "acked",
        "retried",
        "released",
        "buried",
        "promoted",
        "reclaimed",
        "died",
        "cancelled",
        "redriven",
        "purged",
        "trimmed",
        "ghosts",
    ];
    for damage in [
        "",
        "garbage",
        "1.5",
        "-1",
        "99999999999999999999",
        "9223372036854775807",
    ] {
        all_answer(|fixture, _| {
            for field in fields {
                fixture.redis::<()>(&["HSET", &fixture.key("meta"), field, damage]);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_damaged_counter_starts_anew() {
    let fixture = Fixture::new().await;
    for damage in ["", "garbage", "-1", "9223372036854775807"] {
        fixture.redis::<()>(&["HSET", &fixture.key("meta"), "pushed", damage]);
        fixture.push("a").await;
        assert_eq!(fixture.counts().await.pushed, 1, "{damage:?}");
    }
}

#[tokio::test]
async fn no_script_raises_over_a_score_that_is_no_time() {
    for score in ["inf", "-inf", "-5", "1.5", "1e300"] {
        all_answer(|fixture, placed| {
            for (state, id) in &placed.ids()[1..] {
                let key = fixture.key(state);
                fixture.redis::<()>(&["ZADD", &key, "XX", score, &id.to_string()]);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_id_that_is_no_text_stops_no_claim() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let plant =
        r"redis.call('HSET', KEYS[1], '\255', '0\n\n') redis.call('LPUSH', KEYS[2], '\255')";
    let keys = ["messages", "ready"].map(|key| fixture.key(key));
    fixture.redis::<()>(&["EVAL", plant, "2", &keys[0], &keys[1]]);
    assert_eq!(fixture.counts().await.ready_head, None);
    let page = fixture
        .queue
        .peek(redeliver::State::Ready, 0, 10)
        .await
        .unwrap();
    assert_eq!(page.messages.len(), 1);
    let claimed = fixture.queue.claim(10).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].id()), (1, id));
    let counts = fixture.counts().await;
    assert_eq!((counts.ready, counts.pending, counts.messages), (0, 2, 2));
}
