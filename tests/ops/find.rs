use redeliver::{Message, MessageId, Raw, State};

use crate::fixture::Fixture;

#[tokio::test]
async fn find_tells_where_each_message_is_and_touches_nothing() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let before = fixture.dump();
    let mut asked: Vec<_> = placed.ids().iter().map(|(_, id)| *id).collect();
    asked.push(MessageId::generate());
    let found = fixture.queue.find(&asked).await.unwrap();
    for ((word, id), found) in placed.ids().iter().zip(&found) {
        let found = found.as_ref().unwrap();
        assert_eq!((found.id, found.state), (*id, word.parse::<State>().unwrap()));
        assert_eq!(found.payload, word.as_bytes());
        let time = (*word != "ready").then(|| fixture.time_of(word, *id).unwrap());
        assert_eq!(found.at_ms, time);
    }
    assert!(found[4].is_none());
    assert!(fixture.dump() == before);
    fixture.assert_law().await;
}

#[tokio::test]
async fn find_shows_headers_attempt_and_history() {
    let fixture = Fixture::new().await;
    let message = Message::new(Raw::from("a")).kind("k").header("h", "v");
    let id = fixture.queue.push(message).await.unwrap().id();
    fixture.bury(id).await;
    let found = fixture.queue.find(&[id, id]).await.unwrap();
    let both = [0, 1].map(|index: usize| found[index].as_ref().unwrap());
    for found in both {
        assert_eq!((found.attempt, found.failures, found.max_attempts), (2, 1, 3));
        assert_eq!(found.header.kind.as_deref(), Some("k"));
        assert_eq!(found.header.headers["h"], "v");
        assert_eq!(found.history[0].error, "hopeless");
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn find_takes_16_ids_a_call_and_refuses_more() {
    let fixture = Fixture::new().await;
    let ids = fixture.push_many(40).await;
    let texts: Vec<_> = ids.iter().map(MessageId::to_string).collect();
    let argv: Vec<_> = texts.iter().map(String::as_str).collect();
    fixture.refused("find", &argv[..17], "BADARG");
    let found: Vec<Vec<String>> = fixture.call("find", &argv[..16]);
    assert_eq!(found.len(), 16);
    assert_eq!(found[15], ["ready", "", "3\n\n15", ""]);
    assert!(fixture.call::<Vec<String>>("find", &[]).is_empty());
    let missing: Vec<Vec<String>> = fixture.call("find", &["", "nobody"]);
    assert_eq!(missing, vec![["missing", "", "", ""]; 2]);
    let found = fixture.queue.find(&ids).await.unwrap();
    let payloads: Vec<_> = found.into_iter().map(|found| found.unwrap().payload).collect();
    let expected: Vec<_> = (0..40).map(|number: u32| number.to_string().into_bytes()).collect();
    assert_eq!(payloads, expected);
    fixture.assert_law().await;
}
