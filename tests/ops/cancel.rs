use redeliver::{Cancelled, Message, MessageId, Raw, Settled};

use crate::fixture::{Fixture, SECOND};

#[tokio::test]
async fn cancel_removes_a_message_from_any_state() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    for (state, id) in placed.ids() {
        assert_eq!(fixture.queue.cancel(&[id]).await.unwrap(), [Cancelled::Done], "{state}");
        assert_eq!(fixture.len(state), 0);
        assert_eq!(fixture.queue.cancel(&[id]).await.unwrap(), [Cancelled::Missing], "{state}");
        fixture.assert_law().await;
    }
    assert_eq!(fixture.states().await, [0; 4]);
    assert_eq!(fixture.len("attempts"), 0);
    let counts = fixture.counts().await;
    assert_eq!((counts.cancelled, counts.ghosts), (4, 0));
    assert_eq!(placed.held.ack().await.unwrap(), Settled::Lost);
}

#[tokio::test]
async fn cancel_defers_all_ready_ids_of_a_call_but_the_first() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let more = fixture.push("b").await;
    let ids = [placed.ready, placed.dead, more, placed.scheduled, placed.ready, placed.pending];
    let ids = ids.map(|id| id.to_string());
    let mut argv: Vec<_> = ids.iter().map(String::as_str).collect();
    argv.push("unknown");
    let outcomes: Vec<String> = fixture.call("cancel", &argv);
    let done = "cancelled";
    assert_eq!(outcomes, [done, done, "deferred", done, "missing", done, "missing"]);
    assert_eq!(fixture.ids("ready"), [more.to_string()]);
    assert_eq!(fixture.states().await, [1, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn cancel_of_many_ready_messages_asks_until_none_is_deferred() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(20).await;
    let asked: Vec<_> = ids[5..15].iter().copied().chain([MessageId::generate()]).collect();
    let cancelled = fixture.queue.cancel(&asked).await.unwrap();
    assert_eq!(cancelled, [vec![Cancelled::Done; 10], vec![Cancelled::Missing]].concat());
    let left: Vec<_> = ids[..5].iter().chain(&ids[15..]).map(MessageId::to_string).collect();
    assert_eq!(fixture.ids("ready"), left);
    assert!(fixture.queue.cancel(&[]).await.unwrap().is_empty());
    fixture.assert_law().await;
}

#[tokio::test]
async fn cancel_takes_attempt_line_and_key_along() {
    let fixture = Fixture::new().await;
    let message = Message::new(Raw::from("a")).key("k");
    let id = fixture.queue.push(message).await.unwrap().id();
    let released = fixture.claim().await.release(60 * SECOND).await;
    assert_eq!(released.unwrap(), Settled::Done);
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (1, 2));
    assert_eq!(fixture.queue.cancel(&[id]).await.unwrap(), [Cancelled::Done]);
    assert_eq!((fixture.len("attempts"), fixture.len("keyed")), (0, 0));
    fixture.assert_law().await;
}

#[tokio::test]
async fn cancel_takes_1000_ids_and_refuses_more() {
    let fixture = Fixture::new().await;
    let later = || Message::new(Raw::from("a")).delay(60 * SECOND);
    let pushed = fixture.queue.push_all((0..1001).map(|_| later())).await.unwrap();
    let ids: Vec<_> = pushed.iter().map(|pushed| pushed.id().to_string()).collect();
    let argv: Vec<_> = ids.iter().map(String::as_str).collect();
    fixture.refused("cancel", &argv, "BADARG");
    let outcomes: Vec<String> = fixture.call("cancel", &argv[1..]);
    assert_eq!(outcomes, vec!["cancelled"; 1000]);
    assert!(fixture.call::<Vec<String>>("cancel", &[]).is_empty());
    assert_eq!(fixture.states().await, [0, 1, 0, 0]);
    fixture.assert_law().await;
}
