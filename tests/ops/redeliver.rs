use std::time::Duration;

use redeliver::{Message, MessageId, Policy, Raw};

use crate::fixture::{Fixture, SECOND, shared};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// No poller sleeps longer, in microseconds.
const MAX_IDLE: u64 = 5_000_000;

/// Promoted, reclaimed, died, ghosts, more, microseconds.
pub(crate) fn redeliver(fixture: &Fixture, limit: &str, poller: &str) -> [u64; 6] {
    fixture.call("redeliver", &[limit, poller])
}

pub(crate) async fn schedule(fixture: &Fixture, count: usize, delay: Duration) -> Vec<MessageId> {
    let messages = (0..count).map(|_| Message::new(Raw::from("a")).delay(delay));
    let pushed = fixture.queue.push_all(messages).await.unwrap();
    pushed.into_iter().map(redeliver::Pushed::id).collect()
}

pub(crate) async fn overdue(fixture: &Fixture, count: usize) -> Vec<MessageId> {
    let ids = fixture.push_many(count).await;
    let _held = fixture.queue.claim(1000).await.unwrap();
    for id in &ids {
        fixture.age("pending", *id, HOUR);
    }
    ids
}

pub(crate) fn set_due(fixture: &Fixture, id: MessageId, at_ms: u64) {
    set_time(fixture, "scheduled", id, at_ms);
}

/// Wherever it may be by now.
pub(crate) fn set_time(fixture: &Fixture, state: &str, id: MessageId, at_ms: u64) {
    let (at, id) = (at_ms.to_string(), id.to_string());
    fixture.redis::<()>(&["ZADD", &fixture.key(state), &at, &id]);
    fixture.redis::<()>(&["LREM", &fixture.key("ready"), "1", &id]);
}

/// Looks at a message that falls due in less than five seconds; once more, should the machine be
/// so slow that it falls due meanwhile.
pub(crate) fn undisturbed<R>(fixture: &Fixture, id: MessageId, look: impl Fn(u64) -> R) -> R {
    for _ in 0..10 {
        let at = fixture.now_us() / 1000 + 4_900;
        set_due(fixture, id, at);
        let seen = look(at);
        if fixture.now_us() / 1000 + 1 < at {
            return seen;
        }
    }
    panic!("this machine is too slow to look at anything");
}

#[tokio::test]
async fn redeliver_promotes_what_is_due_in_the_order_of_its_time() {
    let fixture = Fixture::new().await;
    let ids = schedule(&fixture, 4, HOUR).await;
    for (id, age) in [(0, 3), (1, 5), (2, 4)] {
        fixture.age("scheduled", ids[id], age * HOUR);
    }
    let moved = fixture.queue.redeliver(10).await.unwrap();
    assert_eq!((moved.promoted, moved.reclaimed, moved.more), (3, 0, false));
    let order = [ids[1], ids[2], ids[0]].map(|id| id.to_string());
    assert_eq!(fixture.ids("ready"), order);
    assert_eq!(fixture.counts().await.promoted, 3);
    assert_eq!(fixture.states().await, [3, 1, 0, 0]);
    assert_eq!(fixture.claim().await.attempt(), 1);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_puts_the_overdue_at_the_tail_with_a_failure_more() {
    let fixture = Fixture::new().await;
    let id = overdue(&fixture, 1).await[0];
    let other = fixture.push("b").await;
    let moved = fixture.queue.redeliver(10).await.unwrap();
    assert_eq!((moved.promoted, moved.reclaimed, moved.died), (0, 1, 0));
    assert_eq!(fixture.ids("ready"), [other.to_string(), id.to_string()]);
    assert_eq!(fixture.line_of(id).as_deref(), Some("1 1 3"));
    assert_eq!(fixture.counts().await.reclaimed, 1);
    assert_eq!(fixture.claim().await.attempt(), 1);
    let delivery = fixture.claim().await;
    assert_eq!((delivery.id(), delivery.attempt(), delivery.failures()), (id, 2, 1));
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_leaves_what_is_not_due_alone() {
    let fixture = Fixture::new().await;
    fixture.every_state().await;
    let before = fixture.ids("scheduled");
    let moved = fixture.queue.redeliver(1000).await.unwrap();
    assert_eq!((moved.promoted, moved.reclaimed, moved.died), (0, 0, 0));
    assert_eq!((moved.ghosts, moved.more), (0, false));
    assert_eq!(fixture.ids("scheduled"), before);
    assert_eq!(fixture.states().await, [1, 1, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_buries_when_the_failures_are_spent() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    for failures in 1..=3 {
        let _held = fixture.claim().await;
        fixture.age("pending", id, HOUR);
        let moved = fixture.queue.redeliver(10).await.unwrap();
        let dead = u64::from(failures == 3);
        assert_eq!((moved.reclaimed, moved.died), (1 - dead, dead));
        assert_eq!(fixture.line_of(id), Some(format!("{failures} {failures} 3")));
        fixture.assert_law().await;
    }
    assert_eq!(fixture.states().await, [0, 0, 0, 1]);
    let now = fixture.now_us() / 1000;
    assert!(fixture.time_of("dead", id).is_some_and(|died| died <= now));
    assert_eq!(fixture.counts().await.died, 1);
}

#[tokio::test]
async fn redeliver_never_buries_a_message_without_a_limit() {
    let fixture = Fixture::on(shared(), Policy::default().max_attempts(0)).await;
    let id = fixture.push("a").await;
    for failures in 1..=12 {
        let _held = fixture.claim().await;
        fixture.age("pending", id, HOUR);
        assert_eq!(fixture.queue.redeliver(10).await.unwrap().reclaimed, 1);
        assert_eq!(fixture.line_of(id), Some(format!("{failures} {failures} 0")));
    }
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_keeps_the_history() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let retried = fixture.claim().await.retry_after(Duration::ZERO, "one two").await;
    assert!(retried.is_ok());
    let line = fixture.line_of(id).unwrap();
    let _held = fixture.claim().await;
    fixture.age("pending", id, HOUR);
    fixture.queue.redeliver(10).await.unwrap();
    let expected = line.replacen("1 1 3 ", "2 2 3 ", 1);
    assert_eq!(fixture.line_of(id), Some(expected));
    assert_eq!(fixture.claim().await.history()[0].error, "one two");
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_is_bounded_and_says_that_more_is_due() {
    let fixture = Fixture::new().await;
    let pending = overdue(&fixture, 5).await;
    for id in schedule(&fixture, 5, HOUR).await {
        fixture.age("scheduled", id, 2 * HOUR);
    }
    assert_eq!(redeliver(&fixture, "3", "p")[..5], [3, 3, 0, 0, 1]);
    assert_eq!(fixture.states().await, [6, 2, 2, 0]);
    fixture.assert_law().await;
    assert_eq!(redeliver(&fixture, "3", "p"), [2, 2, 0, 0, 0, MAX_IDLE]);
    assert_eq!(fixture.states().await, [10, 0, 0, 0]);
    assert_eq!(fixture.line_of(pending[4]).as_deref(), Some("1 1 3"));
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_takes_1000_of_each_kind_and_refuses_more() {
    let fixture = Fixture::new().await;
    fixture.push_many(1001).await;
    while !fixture.queue.claim(1000).await.unwrap().is_empty() {}
    schedule(&fixture, 1001, HOUR).await;
    for state in ["pending", "scheduled"] {
        let key = fixture.key(state);
        let all: Vec<String> = fixture.redis(&["ZRANGE", &key, "0", "-1"]);
        let mut command = vec!["ZADD", &key];
        command.extend(all.iter().flat_map(|id| ["1", id.as_str()]));
        fixture.redis::<()>(&command);
    }
    for limit in ["0", "1001", "-1", "1.5", "", "1e2"] {
        fixture.refused("redeliver", &[limit, "p"], "BADARG");
    }
    for limit in [0, 1001] {
        let refused = fixture.queue.redeliver(limit).await;
        assert!(refused.unwrap_err().is_invalid());
    }
    assert_eq!(redeliver(&fixture, "1000", "p"), [1000, 1000, 0, 0, 1, 0]);
    fixture.assert_law().await;
    assert_eq!(redeliver(&fixture, "1000", "p"), [1, 1, 0, 0, 0, MAX_IDLE]);
    assert_eq!(fixture.states().await, [2002, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_stops_reading_records_at_its_byte_budget() {
    let fixture = Fixture::new().await;
    let payloads = (0..40).map(|_| Raw(vec![b'x'; 200_000]));
    fixture.queue.push_all(payloads).await.unwrap();
    while !fixture.queue.claim(1000).await.unwrap().is_empty() {}
    for id in fixture.ids("pending") {
        fixture.age("pending", id.parse().unwrap(), HOUR);
    }
    // Eleven records are more than 2 MiB.
    for (reclaimed, more) in [(11, 1), (11, 1), (11, 1), (7, 0)] {
        assert_eq!(redeliver(&fixture, "1000", "p")[..5], [0, reclaimed, 0, 0, more]);
        fixture.assert_law().await;
    }
    assert_eq!(fixture.states().await, [40, 0, 0, 0]);
}

#[tokio::test]
async fn redeliver_counts_each_record_once_and_stops_when_its_budget_is_spent_to_the_byte() {
    let budget = 2 * 1024 * 1024;
    // Records, bytes of the first and of each other one, and how many a call brings back.
    let cases = [
        (17, budget / 16, budget / 16, 16),
        (17, budget / 16 - 1, budget / 16, 17),
        (33, budget / 33, budget / 33, 33),
    ];
    for (count, first, other, reclaimed) in cases {
        let fixture = Fixture::new().await;
        let ids: Vec<_> = (0..count).map(|number| format!("{number:02}")).collect();
        for id in &ids {
            let size = if id == "00" { first } else { other };
            let record = format!("0\n\n{}", "x".repeat(size - 3));
            fixture.call::<redis::Value>("push", &[id, &record, "", "0"]);
        }
        fixture.call::<redis::Value>("claim", &["1000", "9000000", "1"]);
        let pending = fixture.key("pending");
        let overdue = ["ZADD", &pending].into_iter().chain(ids.iter().flat_map(|id| ["1", id]));
        fixture.redis::<()>(&overdue.collect::<Vec<_>>());
        assert_eq!(redeliver(&fixture, "1000", "p")[1], reclaimed, "{count} of {first}");
    }
}

#[tokio::test]
async fn redeliver_refuses_a_poller_without_a_proper_name() {
    let fixture = Fixture::new().await;
    fixture.every_state().await;
    for poller in [" ", "a b", "a\n", "ä", "p;", &"p".repeat(33)] {
        fixture.refused("redeliver", &["10", poller], "BADARG");
    }
    fixture.refused("redeliver", &["10"], "BADARG");
    redeliver(&fixture, "10", &"p".repeat(32));
    redeliver(&fixture, "10", "A-z_09");
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_rings_the_bell_for_what_it_brings_back() {
    let fixture = Fixture::new().await;
    redeliver(&fixture, "10", "p");
    assert_eq!(fixture.len("bell"), 0);
    for state in ["scheduled", "pending"] {
        fixture.queue.destroy().await.unwrap();
        let id = if state == "pending" {
            let id = fixture.push("a").await;
            let _held = fixture.claim().await;
            id
        } else {
            schedule(&fixture, 1, HOUR).await[0]
        };
        fixture.age(state, id, 2 * HOUR);
        assert_eq!(fixture.len("bell"), 0);
        assert_eq!(redeliver(&fixture, "10", "p")[..2].iter().sum::<u64>(), 1);
        assert_eq!(fixture.len("bell"), 1, "{state}");
        redeliver(&fixture, "10", "p");
        assert_eq!(fixture.len("bell"), 1, "{state}");
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_mends_a_lost_bell_but_for_the_second_and_third_watcher() {
    let fixture = Fixture::new().await;
    fixture.push("a").await;
    for _ in 0..2 {
        fixture.silence();
        redeliver(&fixture, "10", "p");
        assert_eq!(fixture.len("bell"), 1);
    }
    let id = schedule(&fixture, 1, HOUR).await[0];
    let rung = undisturbed(&fixture, id, |_| {
        ["p1", "p2", "p3", "p4"].map(|poller| {
            fixture.silence();
            redeliver(&fixture, "10", poller);
            fixture.len("bell")
        })
    });
    // The second and third watcher are silent; whoever is not needed looks after the bell too.
    assert_eq!(rung, [1, 0, 0, 1]);
    fixture.silence();
    fixture.queue.pause().await.unwrap();
    redeliver(&fixture, "10", "p4");
    assert_eq!(fixture.len("bell"), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_tells_the_microseconds_until_the_next_deadline() {
    let policy = Policy::default().lease(4 * SECOND);
    let fixture = Fixture::on(shared(), policy).await;
    let id = fixture.push("a").await;
    let _held = fixture.claim().await;
    let deadline = fixture.time_of("pending", id).unwrap() * 1000;
    let before = fixture.now_us();
    let [_, reclaimed, .., next] = redeliver(&fixture, "10", "p");
    let after = fixture.now_us();
    // On a machine so slow that the lease has ended there is nothing to compare with.
    if reclaimed == 0 {
        assert!(before + next <= deadline && deadline <= after + next);
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_tells_never_more_than_five_seconds() {
    let fixture = Fixture::new().await;
    assert_eq!(redeliver(&fixture, "10", "p")[5], MAX_IDLE);
    fixture.every_state().await;
    assert_eq!(redeliver(&fixture, "10", "p")[5], MAX_IDLE);
    let id = schedule(&fixture, 1, HOUR).await[0];
    let told = undisturbed(&fixture, id, |_| redeliver(&fixture, "10", "p")[5]);
    assert!(told <= 4_900_000, "{told}");
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_tells_at_most_three_pollers_to_watch_one_deadline() {
    let fixture = Fixture::new().await;
    let id = schedule(&fixture, 1, HOUR).await[0];
    let watches = |poller: &str| redeliver(&fixture, "10", poller)[5] < MAX_IDLE;
    let (first, second) = undisturbed(&fixture, id, |at| {
        let first = ["p1", "p2", "p3", "p4", "p5", "p1", "p3", "p4"].map(watches);
        set_due(&fixture, id, at - 1);
        (first, ["p5", "p4", "p3", "p2", "p1"].map(watches))
    });
    assert_eq!(first, [true, true, true, false, false, true, true, false]);
    assert_eq!(second, [true, true, true, false, false]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_without_a_name_is_told_the_time_and_watches_nothing() {
    let fixture = Fixture::new().await;
    let id = schedule(&fixture, 1, HOUR).await[0];
    let watches = |poller: &str| redeliver(&fixture, "10", poller)[5] < MAX_IDLE;
    let told =
        undisturbed(&fixture, id, |_| ["", "", "", "", "p1", "p2", "p3", "p4", ""].map(watches));
    let expected = [true, true, true, true, true, true, true, false, true];
    assert_eq!(told, expected);
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_without_a_name_makes_a_lost_token_anew() {
    let fixture = Fixture::new().await;
    let id = schedule(&fixture, 1, HOUR).await[0];
    fixture.push("waits").await;
    let bell = |poller: &str| {
        fixture.silence();
        (redeliver(&fixture, "10", poller), fixture.len("bell")).1
    };
    let bells = undisturbed(&fixture, id, |_| ["", "p1", "p1", ""].map(bell));
    assert_eq!(bells, [1, 1, 0, 1], "who watches has rung before");
    fixture.assert_law().await;
}

#[tokio::test]
async fn redeliver_rings_no_alarm() {
    let fixture = Fixture::new().await;
    let id = schedule(&fixture, 1, HOUR).await[0];
    let rung = undisturbed(&fixture, id, |_| {
        ["p1", "p2", "p3", "p4", ""].map(|poller| {
            fixture.silence();
            redeliver(&fixture, "10", poller);
            fixture.len("alarm")
        })
    });
    assert_eq!(rung, [0; 5]);
    fixture.assert_law().await;
}
