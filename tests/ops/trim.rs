use redeliver::{Message, MessageId, Policy, Raw};

use crate::fixture::{Fixture, SECOND, shared};

#[tokio::test]
async fn trim_removes_what_died_too_long_ago() {
    let policy = Policy::default().dead_retention(1000, 3600 * SECOND);
    let fixture = Fixture::on(shared(), policy).await;
    let ids = fixture.fill_dead(4).await;
    fixture.age("dead", ids[1], 3601 * SECOND);
    fixture.age("dead", ids[3], 9999 * SECOND);
    assert_eq!(fixture.queue.dead().trim().await.unwrap(), (2, false));
    let left = [ids[0], ids[2]].map(|id| id.to_string());
    assert_eq!(fixture.ids("dead"), left);
    assert_eq!(fixture.counts().await.trimmed, 2);
    assert_eq!(fixture.queue.dead().trim().await.unwrap(), (0, false));
    fixture.assert_law().await;
}

#[tokio::test]
async fn trim_keeps_the_newest_entries() {
    let policy = Policy::default().dead_retention(2, 3600 * SECOND);
    let fixture = Fixture::on(shared(), policy).await;
    let ids = fixture.fill_dead(5).await;
    for (id, age) in ids.iter().zip([1, 5, 2, 4, 3]) {
        fixture.age("dead", *id, age * SECOND);
    }
    assert_eq!(fixture.queue.dead().trim().await.unwrap(), (3, false));
    let left = [ids[2], ids[0]].map(|id| id.to_string());
    assert_eq!(fixture.ids("dead"), left);
    fixture.assert_law().await;
}

#[tokio::test]
async fn trim_leaves_other_states_alone() {
    let fixture = Fixture::new().await;
    fixture.every_state().await;
    assert_eq!(fixture.call::<[u64; 2]>("trim", &["1000", "3600000", "0"]), [1, 0]);
    assert_eq!(fixture.states().await, [1, 1, 1, 0]);
    assert_eq!(fixture.call::<[u64; 2]>("trim", &["1000", "3600000", "0"]), [0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn trim_takes_attempt_line_and_key_along() {
    let fixture = Fixture::new().await;
    let message = Message::new(Raw::from("a")).key("k");
    let id = fixture.queue.push(message).await.unwrap().id();
    fixture.bury(id).await;
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (1, 2));
    assert_eq!(fixture.call::<[u64; 2]>("trim", &["1000", "3600000", "0"]), [1, 0]);
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (0, 0));
    fixture.assert_law().await;
}

#[tokio::test]
async fn trim_is_bounded_and_says_that_more_is_beyond_the_retention() {
    let fixture = Fixture::new().await;
    let ids = fixture.fill_dead(1001).await;
    let bad = [
        ["0", "1", "1"],
        ["1001", "1", "1"],
        ["-1", "1", "1"],
        ["1", "-1", "1"],
        ["1", "1", "-1"],
        ["1", "1.5", "1"],
        ["1", "1", "1e3"],
        ["", "1", "1"],
        ["1", "", "1"],
        ["1", "1", ""],
    ];
    for argv in bad {
        fixture.refused("trim", &argv, "BADARG");
    }
    fixture.refused("trim", &["1", "1"], "BADARG");
    assert_eq!(fixture.call::<[u64; 2]>("trim", &["1000", "3600000", "0"]), [1000, 1]);
    assert_eq!(fixture.ids("dead"), [ids[1000]].map(|id: MessageId| id.to_string()));
    fixture.assert_law().await;
    assert_eq!(fixture.call::<[u64; 2]>("trim", &["1000", "3600000", "0"]), [1, 0]);
    assert_eq!(fixture.states().await, [0; 4]);
    fixture.assert_law().await;
}
