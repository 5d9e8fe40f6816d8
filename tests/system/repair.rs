//! A damaged queue is healed while it works, and a sound one is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redeliver::{Context, Damage, Message, MessageId, Policy, Poller, Queue, Raw, Worker};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SECOND, TestServer};

const BACKLOG: usize = 4000;
/// Each of two loops of traffic takes this much of the backlog at most, so that it never reaches what is planted
/// behind it.
const TAKEN: usize = 1000;
const FAR: &str = "4000000000000";

/// Moves messages through ready without end: most go back to its head, some are done, and as many
/// are pushed. Says which ones are done.
async fn traffic(queue: Queue<Raw>, stop: CancellationToken) -> Vec<MessageId> {
    let mut done = Vec::new();
    while !stop.is_cancelled() {
        let mut held = queue.claim(10).await.unwrap();
        let first = (done.len() < TAKEN && !held.is_empty()).then(|| held.remove(0));
        for delivery in held.into_iter().rev() {
            let _released = delivery.release(Duration::ZERO).await.unwrap();
        }
        if let Some(first) = first {
            done.push(first.id());
            let _acked = first.ack().await.unwrap();
            queue.push(Raw::from("new")).await.unwrap();
        }
        queue.push(Message::new(Raw::from("soon")).delay(Duration::from_millis(20))).await.unwrap();
    }
    done
}

/// Each kind of damage that a queue at work can have, some in several places; says how much.
async fn plant(fixture: &Fixture) -> serde_json::Value {
    let set = |key: &str, field: &str, value: &str| {
        fixture.redis::<()>(&["HSET", &fixture.key(key), field, value]);
    };
    let at = |state: &str, time: &str, id: &str| {
        fixture.redis::<()>(&["ZADD", &fixture.key(state), time, id]);
    };
    let mut far = Vec::new();
    for number in 0..20 {
        let message = Message::new(Raw::from("far")).delay(3600 * SECOND);
        let message = message.key(format!("k{number}"));
        far.push(fixture.queue.push(message).await.unwrap().id().to_string());
    }
    let tail: Vec<String> = fixture.redis(&["LRANGE", &fixture.key("ready"), "-4", "-1"]);
    set("messages", &MessageId::generate().to_string(), "3\n\norphan");
    fixture.redis::<()>(&["RPUSH", &fixture.key("ready"), "ghost-r", &tail[0], &far[0]]);
    for state in ["scheduled", "pending", "dead"] {
        at(state, FAR, &format!("ghost-{state}"));
    }
    fixture.redis::<()>(&["HDEL", &fixture.key("messages"), &far[1], &far[10]]);
    at("dead", FAR, &far[2]);
    at("pending", FAR, &far[3]);
    set("keyed", "=gone", "nobody");
    set("keyed", "nobody", "lost");
    fixture.redis::<()>(&["HDEL", &fixture.key("keyed"), "=k4", &far[5]]);
    set("attempts", "nobody", "1 1 3");
    set("attempts", &far[6], "garbage");
    at("scheduled", "inf", &far[7]);
    at("pending", "inf", &far[8]);
    at("dead", "inf", &far[9]);
    fixture.redis::<()>(&["ZREM", &fixture.key("scheduled"), &far[8], &far[9]]);
    fixture.redis::<()>(&["RPUSH", &fixture.key("bell"), "1", "1"]);
    set("meta", "purged", "garbage");
    let planted = [
        ("orphan", 1),
        // Four planted, and two whose records went.
        ("ghost", 6),
        ("twice", 4),
        // Both entries of those whose records went, and one of each direction.
        ("stale_key", 6),
        ("crossed_key", 2),
        ("stray_line", 1),
        ("bad_line", 1),
        ("bad_time", 3),
        ("tokens", 1),
        ("bad_counter", 1),
        ("counters", 1),
    ];
    planted.into_iter().collect::<BTreeMap<_, u64>>().into_iter().collect()
}

#[cfg(feature = "cli")]
async fn check(server: &TestServer, queue: &str, args: &[&str]) -> (i32, serde_json::Value) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_redeliver"));
    command.args(["check", queue, "-o", "json", "--url", &server.url()]).args(args);
    let output = command.output().await.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let told = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    (output.status.code().unwrap(), told)
}

/// Gives out all that there is, whenever it is due, and says what.
async fn deliver_all(fixture: &Fixture) -> Vec<MessageId> {
    let queue = &fixture.queue;
    for state in ["scheduled", "pending"] {
        for id in fixture.ids(state) {
            fixture.redis::<()>(&["ZADD", &fixture.key(state), "XX", "1", &id]);
        }
    }
    while queue.redeliver(1000).await.unwrap().more {}
    let now_ms = fixture.counts().await.now_ms;
    while queue.dead().redrive_oldest(1000, now_ms + 1000).await.unwrap().left > 0 {}
    let mut delivered = Vec::new();
    loop {
        let held = queue.claim(1000).await.unwrap();
        if held.is_empty() {
            return delivered;
        }
        for delivery in held {
            delivered.push(delivery.id());
            let _acked = delivery.ack().await.unwrap();
        }
    }
}

#[cfg(feature = "cli")]
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_queue_is_healed_under_traffic_and_delivers_all_that_lives() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default().lease(600 * SECOND)).await;
    let name = fixture.queue.name().to_string();
    fixture.push_many(BACKLOG).await;
    let planted = plant(&fixture).await;
    let stop = CancellationToken::new();
    let mut crew = Vec::new();
    for _ in 0..2 {
        crew.push(tokio::spawn(traffic(fixture.other().await, stop.clone())));
    }
    let poller = Poller::new(fixture.other().await).run(stop.clone().cancelled_owned());
    let poller = tokio::spawn(poller);

    let (code, told) = check(&server, &name, &[]).await;
    assert_eq!((code, &told["clean"]), (1, &false.into()), "{told:#}");
    assert_eq!(told["kinds"], planted, "{told:#}");
    let (code, told) = check(&server, &name, &["--repair", "--dry-run"]).await;
    assert_eq!(code, 1);
    assert_eq!(told["would_mend"], planted, "{told:#}");
    let (code, told) = check(&server, &name, &["--repair"]).await;
    assert_eq!((code, &told["clean"]), (0, &true.into()), "{told:#}");
    assert_eq!(told["mended"], planted, "{told:#}");
    let (code, told) = check(&server, &name, &[]).await;
    assert_eq!((code, &told["damaged"]), (0, &0.into()), "{told:#}");

    stop.cancel();
    for task in crew {
        assert!(!task.await.unwrap().is_empty());
    }
    poller.await.unwrap();
    fixture.assert_law().await;
    let counts = fixture.counts().await;
    // Two records went, and one came that nobody had pushed.
    assert_eq!((counts.vanished, counts.ghosts), (1, 6));
    let live: Vec<String> = fixture.redis(&["HKEYS", &fixture.key("messages")]);
    let delivered = deliver_all(&fixture).await;
    let delivered: BTreeSet<_> = delivered.iter().map(ToString::to_string).collect();
    assert_eq!(delivered, live.into_iter().collect());
    fixture.assert_law().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repair_of_a_sound_queue_at_work_changes_nothing_for_anybody() {
    const MESSAGES: u64 = 6000;
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default().lease(600 * SECOND)).await;
    let done = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let (note, failed) = (Arc::clone(&done), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&failed);
    let handler = move |_: Raw, cx: Context| {
        let (note, count) = (Arc::clone(&note), Arc::clone(&count));
        async move {
            // Every third message fails once, and has an attempt line from then on.
            if cx.attempt() == 1 && cx.id().pushed_ms().is_multiple_of(3) {
                count.fetch_add(1, Ordering::Relaxed);
                return Err("once");
            }
            *note.lock().unwrap().entry(cx.id().to_string()).or_default() += 1;
            Ok(())
        }
    };
    let stop = CancellationToken::new();
    let worker = Worker::new(fixture.other().await, handler).concurrency(20);
    let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    let producer = fixture.other().await;
    let producer = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let message = Message::new(Raw::from("x")).key(format!("k{number}"));
            let message = message.delay(Duration::from_millis(number % 20));
            producer.push(message.retry(redeliver::Backoff::None)).await.unwrap();
        }
    });
    let all_done = || async { fixture.counts().await.acked == MESSAGES };
    let mut passes = 0;
    loop {
        let last = all_done().await;
        let repaired = fixture.queue.repair(|_| {}).await.unwrap();
        // A bell is rung in vain when a worker cannot take its token for a second.
        let mended = repaired.mended.keys().filter(|kind| **kind != Damage::LostBell);
        assert_eq!(mended.count(), 0, "{repaired:?}");
        passes += 1;
        if last {
            break;
        }
    }
    producer.await.unwrap();
    stop.cancel();
    worker.await.unwrap().unwrap();
    let done = done.lock().unwrap().clone();
    eprintln!("{passes} repairs, {} failures", failed.load(Ordering::Relaxed));
    assert_eq!((done.len() as u64, done.values().max()), (MESSAGES, Some(&1)));
    let counts = fixture.counts().await;
    assert_eq!((counts.pushed, counts.ghosts, counts.vanished), (MESSAGES, 0, 0));
    assert_eq!(counts.retried, failed.load(Ordering::Relaxed));
    assert!(counts.law_holds());
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn a_dry_run_changes_nothing_and_tells_just_what_the_repair_then_does() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default().lease(600 * SECOND)).await;
    let name = fixture.queue.name().to_string();
    fixture.push_many(100).await;
    let planted = plant(&fixture).await;
    let before = fixture.dump();
    let (code, told) = check(&server, &name, &["--repair", "--dry-run"]).await;
    assert_eq!((code, &told["would_mend"]), (1, &planted));
    assert!(fixture.dump() == before);
    let (code, told) = check(&server, &name, &["--repair"]).await;
    assert_eq!((code, &told["mended"]), (0, &planted));
    assert_eq!(check(&server, &name, &[]).await.0, 0);
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn a_key_of_another_type_is_told_with_a_fix_and_left_alone() {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    let name = fixture.queue.name().to_string();
    fixture.push("x").await;
    fixture.redis::<()>(&["SET", &fixture.key("dead"), "damage"]);
    let before = fixture.dump();
    for args in [&[][..], &["--repair", "--dry-run"], &["--repair"]] {
        let (code, told) = check(&server, &name, args).await;
        assert_eq!((code, &told["kinds"]), (1, &serde_json::json!({"wrong_type": 1})));
        assert!(told["fix"][0].as_str().unwrap().contains("RENAME"), "{told:#}");
        assert!(fixture.dump() == before);
    }
    let (key, aside) = (fixture.key("dead"), fixture.key("dead") + ".damaged");
    fixture.redis::<()>(&["RENAME", &key, &aside]);
    assert_eq!(check(&server, &name, &["--repair"]).await.0, 0);
}
