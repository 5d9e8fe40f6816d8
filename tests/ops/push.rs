use std::time::{Duration, SystemTime};

use redeliver::{Cancelled, Message, MessageId, Pushed, Raw, Settled};

use crate::fixture::{Fixture, SECOND};

fn later() -> Message<Raw> {
    Message::new(Raw::from("later")).delay(3600 * SECOND)
}

#[tokio::test]
async fn push_puts_what_is_due_at_the_tail_of_ready() {
    let fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for payload in ["a", "b", "c"] {
        ids.push(fixture.push(payload).await.to_string());
    }
    assert_eq!(fixture.ids("ready"), ids);
    assert_eq!(fixture.states().await, [3, 0, 0, 0]);
    let record: String = fixture.redis(&["HGET", &fixture.key("messages"), &ids[0]]);
    assert_eq!(record, "3\n\na");
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (0, 0));
    assert_eq!(fixture.counts().await.pushed, 3);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_schedules_a_message_with_a_delay() {
    let fixture = Fixture::new().await;
    let earliest = fixture.now_us() / 1000 + 3_600_000;
    let pushed = fixture.queue.push(later()).await.unwrap();
    let latest = fixture.now_us() / 1000 + 3_600_000;
    assert!(matches!(pushed, Pushed::Scheduled(_)), "{pushed:?}");
    let due = fixture.time_of("scheduled", pushed.id()).unwrap();
    assert!((earliest..=latest).contains(&due), "{due}");
    assert_eq!(fixture.states().await, [0, 1, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_takes_an_absolute_due_time_and_a_past_one_means_now() {
    let fixture = Fixture::new().await;
    let at = fixture.now_us() / 1000 + 60_000;
    let due = format!("@{at}");
    let argv = ["1", "0\n\n", "", due.as_str(), "2", "0\n\n", "", "@0", "3", "0\n\n", "", "@1"];
    let outcomes: Vec<String> = fixture.call("push", &argv);
    assert_eq!(outcomes, ["scheduled", "ready", "ready"]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at);
    let message = || Message::new(Raw::from("a"));
    let pushed = fixture.queue.push(message().at(time)).await.unwrap();
    assert_eq!(fixture.time_of("scheduled", pushed.id()), Some(at));
    let past = message().at(SystemTime::UNIX_EPOCH);
    assert!(matches!(fixture.queue.push(past).await.unwrap(), Pushed::Ready(_)));
    assert_eq!(fixture.states().await, [3, 2, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_keeps_its_order_among_equal_due_times() {
    let fixture = Fixture::new().await;
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let message = || Message::new(Raw::from("a")).at(at);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let pushed = fixture.queue.push_all((0..10).map(|_| message())).await.unwrap();
        ids.extend(pushed.into_iter().map(Pushed::id));
    }
    for id in &ids {
        fixture.age("scheduled", *id, 4_000_000_000 * SECOND);
    }
    assert_eq!(fixture.queue.redeliver(1000).await.unwrap().promoted, 40);
    let ids: Vec<_> = ids.iter().map(MessageId::to_string).collect();
    assert_eq!(fixture.ids("ready"), ids);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_keeps_its_order_over_several_calls() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(1100).await;
    let ids: Vec<_> = ids.iter().map(MessageId::to_string).collect();
    assert_eq!(fixture.ids("ready"), ids);
    assert_eq!(fixture.counts().await.pushed, 1100);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_from_many_tasks_answers_each_its_own() {
    let fixture = Fixture::new().await;
    let mut pushes = tokio::task::JoinSet::new();
    for number in 0..200 {
        let queue = fixture.queue.clone();
        pushes.spawn(async move {
            let message =
                Message::new(Raw(vec![number])).delay(u32::from(number % 2) * SECOND * 60);
            (number, queue.push(message).await.unwrap())
        });
    }
    for (number, pushed) in pushes.join_all().await {
        assert_eq!(matches!(pushed, Pushed::Scheduled(_)), number % 2 == 1);
        let found = fixture.queue.find(&[pushed.id()]).await.unwrap().remove(0).unwrap();
        assert_eq!(found.payload, [number]);
    }
    assert_eq!(fixture.states().await, [100, 100, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_changes_nothing_when_its_id_lives() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    for (state, id) in placed.ids() {
        let before = fixture.dump();
        let again = Message::new(Raw::from("other")).id(id).key("new");
        let pushed = fixture.queue.push(again).await.unwrap();
        let state = state.parse().unwrap();
        assert_eq!(pushed, Pushed::Duplicate { id, state });
        assert!(fixture.dump() == before);
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_takes_the_first_of_an_id_that_its_batch_names_twice() {
    let fixture = Fixture::new().await;
    let argv = ["1", "0\n\na", "", "0", "1", "0\n\nb", "k", "60000", "2", "0\n\nc", "k", "60000"];
    let outcomes: (String, Vec<String>, String) = fixture.call("push", &argv);
    let duplicate = ["duplicate", "1", "ready"].map(str::to_owned).to_vec();
    assert_eq!(outcomes, ("ready".into(), duplicate, "scheduled".into()));
    let record: String = fixture.redis(&["HGET", &fixture.key("messages"), "1"]);
    assert_eq!(record, "0\n\na");
    assert_eq!(fixture.states().await, [1, 1, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_takes_the_first_of_a_key_that_its_batch_names_twice() {
    let fixture = Fixture::new().await;
    let argv = ["1", "0\n\na", "k", "60000", "2", "0\n\nb", "k", "0", "3", "0\n\nc", "", "0"];
    let outcomes: (String, Vec<String>, String) = fixture.call("push", &argv);
    let duplicate = ["duplicate", "1", "scheduled"].map(str::to_owned).to_vec();
    assert_eq!(outcomes, ("scheduled".into(), duplicate, "ready".into()));
    assert_eq!(fixture.states().await, [1, 1, 0, 0]);
    assert_eq!(fixture.len("keyed"), 2);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_tells_id_and_state_of_the_message_that_holds_its_key() {
    let fixture = Fixture::new().await;
    let keyed = |key: &str| Message::new(Raw::from("a")).key(key);
    let queue = &fixture.queue;
    let dead = queue.push(keyed("dead")).await.unwrap().id();
    fixture.bury(dead).await;
    let pending = queue.push(keyed("pending")).await.unwrap().id();
    let _held = fixture.claim().await;
    let ready = queue.push(keyed("ready")).await.unwrap().id();
    let delayed = keyed("scheduled").delay(60 * SECOND);
    let scheduled = queue.push(delayed).await.unwrap().id();
    let before = fixture.dump();
    let firsts = [("ready", ready), ("scheduled", scheduled), ("pending", pending), ("dead", dead)];
    for (state, id) in firsts {
        let again = queue.push(keyed(state)).await.unwrap();
        let state = state.parse().unwrap();
        assert_eq!(again, Pushed::Duplicate { id, state });
    }
    assert!(fixture.dump() == before, "a duplicate wrote something");
    assert_eq!(fixture.states().await, [1, 1, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_finds_a_key_free_when_its_message_is_gone() {
    let fixture = Fixture::new().await;
    let dead = fixture.queue.dead();
    for way in ["ack", "cancel", "purge", "trim", "destroy"] {
        let message = Message::new(Raw::from("a")).key("k");
        let pushed = fixture.queue.push(message).await.unwrap();
        assert!(matches!(pushed, Pushed::Ready(_)), "after {way}: {pushed:?}");
        let id = pushed.id();
        match way {
            "ack" => assert_eq!(fixture.claim().await.ack().await.unwrap(), Settled::Done),
            "cancel" => assert_eq!(fixture.queue.cancel(&[id]).await.unwrap(), [Cancelled::Done]),
            "purge" => {
                fixture.bury(id).await;
                assert_eq!(dead.purge(&[id]).await.unwrap(), 1);
            }
            "trim" => {
                fixture.bury(id).await;
                assert_eq!(fixture.call::<[u64; 2]>("trim", &["10", "60000", "0"]), [1, 0]);
            }
            _ => assert_eq!(fixture.queue.destroy().await.unwrap(), 1),
        }
        assert_eq!(fixture.len("keyed"), 0, "{way}");
        assert_eq!(fixture.states().await, [0; 4]);
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn push_creates_the_message_again_when_its_id_is_gone() {
    let fixture = Fixture::new().await;
    let id = MessageId::generate();
    for _ in 0..2 {
        let message = Message::new(Raw::from("a")).id(id);
        assert_eq!(fixture.queue.push(message).await.unwrap(), Pushed::Ready(id));
        assert_eq!(fixture.queue.cancel(&[id]).await.unwrap(), [Cancelled::Done]);
        fixture.assert_law().await;
    }
    assert_eq!(fixture.counts().await.pushed, 2);
}

#[tokio::test]
async fn push_rings_the_bell_once_when_ready_fills() {
    let fixture = Fixture::new().await;
    fixture.queue.push(later()).await.unwrap();
    assert_eq!(fixture.len("bell"), 0);
    fixture.push("a").await;
    fixture.push("b").await;
    assert_eq!(fixture.len("bell"), 1);
    fixture.silence();
    fixture.queue.pause().await.unwrap();
    fixture.push("c").await;
    assert_eq!(fixture.len("bell"), 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_rings_the_alarm_for_the_earliest_time_within_five_seconds() {
    let push = async |fixture: &Fixture, ms: u64| {
        fixture.silence();
        let message = Message::new(Raw::from("a")).delay(Duration::from_millis(ms));
        fixture.queue.push(message).await.unwrap();
        fixture.len("alarm")
    };
    assert_eq!(push(&Fixture::new().await, 5_000).await, 0);
    assert_eq!(push(&Fixture::new().await, 4_999).await, 1);
    let fixture = Fixture::new().await;
    assert_eq!(push(&fixture, 1).await, 1);
    // Later than one that waits already, however slow we are: nobody has to wake.
    assert_eq!(push(&fixture, 4_000).await, 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn push_rings_the_alarm_for_the_earliest_of_its_batch() {
    for delays in [["4000", "60000"], ["60000", "4000"]] {
        let fixture = Fixture::new().await;
        let argv = ["1", "0\n\n", "", delays[0], "2", "0\n\n", "", delays[1]];
        fixture.call::<Vec<String>>("push", &argv);
        assert_eq!(fixture.len("alarm"), 1, "{delays:?}");
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn push_fails_alone_when_its_key_belongs_to_an_id_that_is_not_ours() {
    let fixture = Fixture::new().await;
    fixture.call::<Vec<String>>("push", &["foreign", "0\n\na", "k", "0"]);
    let mut pushes = tokio::task::JoinSet::new();
    for key in ["a", "k", "b"] {
        let queue = fixture.queue.clone();
        pushes.spawn(async move { queue.push(Message::new(Raw::from("x")).key(key)).await });
    }
    let told = pushes.join_all().await;
    let (done, failed): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), fixture.states().await), (2, [3, 0, 0, 0]));
    let failed = failed[0].as_ref().unwrap_err();
    assert!(!failed.is_transient() && failed.to_string().contains("key"), "{failed}");
    fixture.assert_law().await;
}
