//! Stored data that is not what it should be makes no script raise, and loses no message.

use std::time::Duration;

use redeliver::{MessageId, Retried, Settled, State};

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
const RECORDS: [&str; 8] =
    ["", "x", "\n", "\n\nx", "x\n\nx", "-1\n\nx", "99999999999999999999999999\n\nx", "3"];

fn set_line(fixture: &Fixture, id: MessageId, line: &str) {
    fixture.redis::<()>(&["HSET", &fixture.key("attempts"), &id.to_string(), line]);
}

fn set_record(fixture: &Fixture, id: MessageId, record: &str) {
    fixture.redis::<()>(&["HSET", &fixture.key("messages"), &id.to_string(), record]);
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
        let retried = fixture.claim().await.retry_after(Duration::ZERO, "no").await;
        assert!(retried.is_ok());
        set_line(&fixture, id, line);
        let delivery = fixture.claim().await;
        assert_eq!((delivery.attempt(), delivery.failures()), (1, 0), "{line:?}");
        fixture.age("pending", id, 3600 * SECOND);
        assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 1);
        assert_eq!(fixture.line_of(id).as_deref(), Some("1 1 3"));
        let delivery = fixture.claim().await;
        set_line(&fixture, id, line);
        assert_eq!(delivery.ack().await.unwrap(), Settled::Lost);
        assert_eq!(fixture.call::<[String; 1]>("ack", &[&id.to_string(), "1"]), ["acked"]);
        assert_eq!(fixture.len("attempts"), 0);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn a_line_at_the_end_of_its_numbers_does_not_keep_others_from_settling() {
    for line in
        ["9007199254740990 0 0", "9007199254740991 0 0", "4503599627370495 0 4503599627370495"]
    {
        let fixture = Fixture::new().await;
        let ids = fixture.push_many(2).await;
        set_line(&fixture, ids[0], line);
        let mut claimed = fixture.queue.claim(2).await.unwrap().into_iter();
        let [damaged, sound] = [(); 2].map(|()| claimed.next().unwrap());
        let (damaged, sound) = tokio::join!(
            damaged.retry_after(Duration::ZERO, "no"),
            sound.retry_after(Duration::ZERO, "no"),
        );
        assert_eq!(sound.unwrap(), Retried::After(Duration::ZERO), "{line}");
        assert_eq!(damaged.unwrap(), Retried::Lost, "{line}");
        fixture.age("pending", ids[0], 3600 * SECOND);
        assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 1);
        for delivery in fixture.queue.claim(2).await.unwrap() {
            assert_eq!(delivery.ack().await.unwrap(), Settled::Done, "{line}");
        }
        fixture.assert_law().await;
    }
}

/// The prelude's own reading of lines, and Rust's, told by what a page of dead letters says.
#[tokio::test]
async fn scripts_and_the_library_read_the_same_out_of_any_line() {
    let fixture = Fixture::new().await;
    let seed = fastrand::u64(..);
    let lines = some_lines(&mut fastrand::Rng::with_seed(seed), 600);
    let ids = fixture.fill_dead(lines.len()).await;
    let prelude = crate::fixture::sources::source("prelude");
    // The library takes a line for unreadable that has no room for one more failure.
    let read = "local d, f, m = numbers(ARGV[1]) \
        if d + f + (m or 0) + 2 >= MAX_EXACT then d, f = 0, 0 end \
        return { digits(d + 1), digits(f) }";
    let read = format!("#!lua\n{prelude}{read}");
    let mut told = Vec::new();
    for (id, line) in ids.iter().zip(&lines) {
        set_line(&fixture, *id, line);
        told.push(fixture.redis::<(u64, u64)>(&["EVAL", &read, "0", line]));
    }
    let page = fixture.queue.dead().peek(0, 1000).await.unwrap();
    assert_eq!(page.messages.len(), lines.len());
    for ((letter, line), told) in page.messages.iter().zip(&lines).zip(told) {
        assert_eq!((letter.attempt, letter.failures), told, "{line:?}, seed {seed}");
    }
}

/// The corpus of the fuzzing, and lines that are nearly right.
fn some_lines(rng: &mut fastrand::Rng, count: usize) -> Vec<String> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/src/__fuzz__/line/corpus");
    let corpus = std::fs::read_dir(corpus).unwrap();
    let corpus = corpus.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let mut lines: Vec<_> = corpus.filter_map(|line| String::from_utf8(line).ok()).collect();
    lines.truncate(count / 2);
    let words =
        ["1", "0", "007", "4294967295", "9007199254740980", " ", " ", "-", "x", "[]", "\n", ""];
    while lines.len() < count {
        let words: Vec<_> = (0..8).filter_map(|_| rng.choice(words)).collect();
        let glue = if rng.bool() { " " } else { "" };
        lines.push(words[..rng.usize(1..=8)].join(glue));
    }
    lines
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
        let max = if record.starts_with("999") { "4294967295" } else { "0" };
        assert_eq!(fixture.line_of(id), Some(format!("1 1 {max}")), "{record:?}");
        assert_eq!(fixture.claim().await.attempt(), 2);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn a_damaged_record_is_told_to_whoever_claims_it_and_kept_through_burial_and_redrive() {
    for record in RECORDS {
        let fixture = Fixture::new().await;
        let id = fixture.push("a").await;
        set_record(&fixture, id, record);
        let delivery = fixture.claim().await;
        let readable = record.starts_with("999");
        assert_eq!(delivery.payload().is_ok(), readable, "{record:?}");
        let bytes = if readable { b"x" } else { record.as_bytes() };
        assert_eq!(delivery.bytes(), bytes);
        assert_eq!(delivery.bury("hopeless").await.unwrap(), Settled::Done);
        let dead = fixture.queue.dead().peek(0, 10).await.unwrap().messages;
        assert_eq!((dead[0].id, &dead[0].payload[..]), (id, bytes));
        let found = fixture.queue.find(&[id]).await.unwrap().remove(0).unwrap();
        assert_eq!(found.payload, bytes);
        assert_eq!(fixture.queue.dead().redrive(&[id]).await.unwrap(), 1);
        let delivery = fixture.claim().await;
        assert_eq!((delivery.attempt(), delivery.bytes()), (2, bytes));
        assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
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
        "vanished",
    ];
    for damage in ["", "garbage", "1.5", "-1", "99999999999999999999", "9223372036854775807"] {
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
    let page = fixture.queue.peek(State::Ready, 0, 10).await.unwrap();
    assert_eq!(page.messages.len(), 1);
    let claimed = fixture.queue.claim(10).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].id()), (1, id));
    let counts = fixture.counts().await;
    assert_eq!((counts.ready, counts.pending, counts.messages), (0, 2, 2));
}
