use std::time::Duration;

use redeliver::{Message, Raw};

use crate::fixture::{Fixture, SECOND};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn forecast_counts_what_falls_due_up_to_each_time_and_touches_nothing() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let mut late = Vec::new();
    for delay in [30 * MINUTE, 30 * MINUTE, 90 * MINUTE, 30 * DAY] {
        let message = Message::new(Raw::from("x")).delay(delay);
        late.push(fixture.queue.push(message).await.unwrap().id());
    }
    fixture.age("scheduled", late[0], 31 * MINUTE);
    let before = fixture.dump();
    let asked = [Duration::ZERO, 60 * MINUTE, DAY];
    let forecast = fixture.queue.forecast(&asked).await.unwrap();
    assert!(fixture.dump() == before);
    assert!(forecast.now_ms >= fixture.time_of("scheduled", late[0]).unwrap());
    // The one of `every_state` falls due an hour after a time that is past by now.
    assert_eq!(forecast.scheduled, [1, 3, 4]);
    assert_eq!((forecast.pending[0], forecast.pending[2]), (0, 1));
    assert_eq!(placed.scheduled.to_string(), fixture.ids("scheduled")[2]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn forecast_tells_leases_that_have_ended() {
    let fixture = Fixture::new().await;
    let id = fixture.push("a").await;
    let _held = fixture.claim().await;
    assert_eq!(fixture.queue.forecast(&[Duration::ZERO]).await.unwrap().pending, [0]);
    fixture.age("pending", id, DAY);
    assert_eq!(fixture.queue.forecast(&[Duration::ZERO]).await.unwrap().pending, [1]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn forecast_of_nothing_tells_the_time_alone() {
    let fixture = Fixture::new().await;
    let earliest = fixture.now_us() / 1000;
    let forecast = fixture.queue.forecast(&[]).await.unwrap();
    assert!((earliest..=fixture.now_us() / 1000).contains(&forecast.now_ms));
    assert!(forecast.scheduled.is_empty() && forecast.pending.is_empty());
    assert_eq!(fixture.queue.forecast(&[DAY]).await.unwrap().scheduled, [0]);
}

#[tokio::test]
async fn forecast_takes_128_times_and_refuses_more_before_anything_is_sent() {
    let fixture = Fixture::new().await;
    fixture.queue.push(Message::new(Raw::from("x")).delay(DAY)).await.unwrap();
    let times: Vec<_> = (1..=129).map(|days| days * DAY).collect();
    let forecast = fixture.queue.forecast(&times[..128]).await.unwrap();
    assert_eq!(forecast.scheduled[127], 1);
    assert!(fixture.queue.forecast(&times).await.unwrap_err().is_invalid());
    assert!(fixture.queue.forecast(&[4000 * DAY]).await.unwrap_err().is_invalid());
    fixture.refused("forecast", &["0"; 129], "BADARG");
    for wrong in ["", "-1", "1.5", "x", "9007199254740992"] {
        fixture.refused("forecast", &["0", wrong], "BADARG");
    }
    assert_eq!(fixture.call::<Vec<u64>>("forecast", &["0"; 128]).len(), 257);
    assert_eq!(fixture.queue.forecast(&[SECOND]).await.unwrap().scheduled, [0]);
    fixture.assert_law().await;
}
