use std::time::{Duration, SystemTime};

use redeliver::{Due, Message, MessageId, Raw, Rescheduled, Settled};

use crate::fixture::{Fixture, SECOND};

#[tokio::test]
async fn reschedule_moves_a_waiting_message_to_another_time() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let ids = [placed.ready, placed.scheduled];
    let earliest = fixture.now_us() / 1000 + 60_000;
    let outcomes = fixture.queue.reschedule(&ids, Due::After(60 * SECOND)).await.unwrap();
    let latest = fixture.now_us() / 1000 + 60_000;
    assert_eq!(outcomes, [Rescheduled::Scheduled; 2]);
    for id in ids {
        let due = fixture.time_of("scheduled", id).unwrap();
        assert!((earliest..=latest).contains(&due), "{due}");
    }
    assert_eq!(fixture.states().await, [0, 2, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_to_now_or_the_past_means_ready() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let ids = [placed.scheduled, placed.ready];
    let past = Due::At(SystemTime::UNIX_EPOCH);
    let outcomes = fixture.queue.reschedule(&ids, past).await.unwrap();
    assert_eq!(outcomes, [Rescheduled::Ready; 2]);
    let order = [placed.ready, placed.scheduled].map(|id| id.to_string());
    assert_eq!(fixture.ids("ready"), order);
    let again = fixture.queue.reschedule(&ids, Due::After(Duration::ZERO)).await;
    assert_eq!(again.unwrap(), [Rescheduled::Ready; 2]);
    assert_eq!(fixture.ids("ready"), order);
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_leaves_pending_dead_and_missing_ones_alone() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let ids = [placed.pending, placed.dead, MessageId::generate()];
    let before = fixture.dump();
    let outcomes = fixture.queue.reschedule(&ids, Due::After(SECOND)).await.unwrap();
    assert_eq!(outcomes, [Rescheduled::Pending, Rescheduled::Dead, Rescheduled::Missing]);
    assert!(fixture.dump() == before);
    assert_eq!(placed.held.ack().await.unwrap(), Settled::Done);
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_takes_absolute_times_and_the_first_of_an_id() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let id = placed.scheduled.to_string();
    let outcomes: Vec<String> = fixture.call("reschedule", &[&id, "@4000000000000", &id, "0"]);
    assert_eq!(outcomes, ["scheduled", "missing"]);
    assert_eq!(fixture.time_of("scheduled", placed.scheduled), Some(4_000_000_000_000));
    assert_eq!(fixture.states().await, [1, 1, 1, 1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_defers_all_ready_ids_of_a_call_but_the_first() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(4).await;
    let [a, b, c, d] = [0, 1, 2, 3].map(|index: usize| ids[index].to_string());
    let argv = [a.as_str(), "60000", &b, "60000", &c, "0", &d, "60000"];
    let outcomes: Vec<String> = fixture.call("reschedule", &argv);
    assert_eq!(outcomes, ["scheduled", "deferred", "ready", "deferred"]);
    assert_eq!(fixture.ids("ready"), [b, c, d]);
    fixture.assert_law().await;
    let outcomes = fixture.queue.reschedule(&ids, Due::After(60 * SECOND)).await.unwrap();
    assert_eq!(outcomes, [Rescheduled::Scheduled; 4]);
    assert_eq!(fixture.states().await, [0, 4, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_rings_the_bell_for_ready_and_the_alarm_for_an_earlier_time() {
    let fixture = Fixture::new().await;
    let message = Message::new(Raw::from("a")).delay(60 * SECOND);
    let id = fixture.queue.push(message).await.unwrap().id();
    for (delay, rung) in [(50, (0, 0)), (4, (0, 1)), (0, (1, 0))] {
        fixture.silence();
        let due = Due::After(delay * SECOND);
        let outcome = fixture.queue.reschedule(&[id], due).await.unwrap();
        assert_eq!(outcome[0] == Rescheduled::Ready, delay == 0);
        assert_eq!((fixture.len("bell"), fixture.len("alarm")), rung, "{delay}");
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_refuses_any_other_form_of_due_time() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let (ready, id) = (placed.ready.to_string(), placed.scheduled.to_string());
    let forms = [
        "",
        "@",
        "-5",
        "0x10",
        "1.5",
        "1e3",
        " 1",
        "@-1",
        "@1.5",
        "9007199254740991",
        "@9007199254740992",
    ];
    for due in forms {
        fixture.refused("reschedule", &[&ready, "60000", &id, due], "BADARG");
    }
    fixture.refused("reschedule", &[&ready], "BADARG");
    let above = Due::After(redeliver::MAX_DELAY + SECOND);
    let refused = fixture.queue.reschedule(&[placed.ready], above).await;
    assert!(refused.unwrap_err().is_invalid());
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_takes_1000_items_and_refuses_more() {
    let fixture = Fixture::new().await;
    let later = || Message::new(Raw::from("a")).delay(60 * SECOND);
    let pushed = fixture.queue.push_all((0..1001).map(|_| later())).await.unwrap();
    let items: Vec<_> = pushed.iter().map(|it| [it.id().to_string(), "90000".into()]).collect();
    let argv: Vec<_> = items.iter().flatten().map(String::as_str).collect();
    fixture.refused("reschedule", &argv, "BADARG");
    let outcomes: Vec<String> = fixture.call("reschedule", &argv[2..]);
    assert_eq!(outcomes, vec!["scheduled"; 1000]);
    assert!(fixture.call::<Vec<String>>("reschedule", &[]).is_empty());
    assert_eq!(fixture.states().await, [0, 1001, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn reschedule_rings_the_alarm_for_the_earliest_of_its_batch() {
    for delays in [["4000", "60000"], ["60000", "4000"]] {
        let fixture = Fixture::new().await;
        let later = || Message::new(Raw::from("a")).delay(3600 * SECOND);
        let pushed = fixture.queue.push_all([later(), later()]).await.unwrap();
        let [one, two] = [0, 1].map(|index: usize| pushed[index].id().to_string());
        let argv = [one.as_str(), delays[0], &two, delays[1]];
        let outcomes: Vec<String> = fixture.call("reschedule", &argv);
        assert_eq!(outcomes, ["scheduled"; 2]);
        assert_eq!(fixture.len("alarm"), 1, "{delays:?}");
        fixture.assert_law().await;
    }
}
