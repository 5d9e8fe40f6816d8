use redeliver::{Message, MessageId, Pushed, Raw, State};

use crate::fixture::{Fixture, SECOND};

type Told = Vec<redis::Value>;

fn fence(fixture: &Fixture, argv: &[&str]) -> (String, u64, Vec<String>) {
    let mut told = fixture.call::<Told>("fence", argv).into_iter();
    let routing = redis::from_redis_value(told.next().unwrap()).unwrap();
    let messages = redis::from_redis_value(told.next().unwrap()).unwrap();
    (routing, messages, told.map(|it| redis::from_redis_value(it).unwrap()).collect())
}

fn push(fixture: &Fixture, argv: &[&str]) -> Vec<redis::Value> {
    fixture.call("push", argv)
}

fn moved(routing: &str) -> redis::Value {
    let word = |word: &str| redis::Value::BulkString(word.as_bytes().to_vec());
    redis::Value::Array(vec![word("moved"), word(routing)])
}

#[tokio::test]
async fn fence_takes_on_the_routing_with_the_higher_epoch_and_no_other() {
    let fixture = Fixture::new().await;
    assert_eq!(fence(&fixture, &[""]), (String::new(), 0, vec![]));
    assert_eq!(fence(&fixture, &["2 4 1"]).0, "2 4 1");
    for older in ["1 2 1", "2 8 1", ""] {
        let before = fixture.dump();
        assert_eq!(fence(&fixture, &[older]).0, "2 4 1", "{older}");
        assert!(fixture.dump() == before);
    }
    assert_eq!(fence(&fixture, &["10 2 1 4"]).0, "10 2 1 4");
    let layout: String = fixture.redis(&["HGET", &fixture.key("meta"), "layout"]);
    assert_eq!(layout, "2", "clients that know one partition only are kept out");
    fixture.assert_law().await;
}

#[tokio::test]
async fn fence_finds_by_key_and_by_id_whatever_lives() {
    let fixture = Fixture::new().await;
    let placed = fixture.every_state().await;
    let later = Message::new(Raw::from("keyed")).key("k").delay(60 * SECOND);
    let keyed = fixture.queue.push(later).await.unwrap().id().to_string();
    for (state, id) in placed.ids() {
        let id = id.to_string();
        assert_eq!(fence(&fixture, &["", &id]).2, [id.as_str(), state]);
    }
    let nobody = MessageId::generate().to_string();
    let (routing, messages, found) = fence(&fixture, &["3 2 1", "=k", "=other", &nobody, "=k"]);
    assert_eq!((routing.as_str(), messages), ("3 2 1", 5));
    assert_eq!(found, [&*keyed, "scheduled", "", "", "", "", &*keyed, "scheduled"]);
    assert_eq!(fence(&fixture, &["", "=k"]).2, [&*keyed, "scheduled"]);
    fixture.queue.cancel(&[keyed.parse().unwrap()]).await.unwrap();
    assert_eq!(fence(&fixture, &["", "=k"]).2, ["", ""]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_key_whose_record_is_gone_is_not_found() {
    let fixture = Fixture::new().await;
    fixture.redis::<()>(&["HSET", &fixture.key("keyed"), "=k", "nobody"]);
    assert_eq!(fence(&fixture, &["", "=k"]).2, ["", ""]);
}

#[tokio::test]
async fn fence_refuses_what_is_no_routing_and_too_many_names() {
    let fixture = Fixture::new().await;
    let long = format!("1 {}", "1 ".repeat(128));
    for bad in ["0 1", "x", "1", "-1 2", "1 x", "9007199254740991 2", &long] {
        fixture.refused("fence", &[bad], "BADARG");
    }
    // No library could read these, so a partition that took one on would be lost to all of them.
    for bad in ["1 0", "1 65", "1 2 0", "1 2 65", "1 2 ", "1  2", " 1 2", "1 2\t1", "1 2 1 "] {
        fixture.refused("fence", &[bad], "BADARG");
        fixture.refused("push", &[bad, "1", "0\n\na", "", "0"], "BADARG");
    }
    fixture.refused("fence", &[], "BADARG");
    let names = vec!["=k"; 1001];
    let argv: Vec<_> = [""].into_iter().chain(names).collect();
    fixture.refused("fence", &argv, "BADARG");
    assert_eq!(fence(&fixture, &argv[..1001]).2.len(), 2000);
    assert_eq!(fence(&fixture, &["1 64 1"]).0, "1 64 1");
    assert_eq!(fence(&fixture, &["9007199254740990 2"]).0, "9007199254740990 2");
}

#[tokio::test]
async fn a_push_by_an_older_routing_is_refused_unless_it_is_a_repetition() {
    let fixture = Fixture::new().await;
    let [old, new, by_key] = [0; 3].map(|_| MessageId::generate().to_string());
    push(&fixture, &[&old, "3\n\na", "k", "0"]);
    fence(&fixture, &["2 2 1"]);
    for stale in [None, Some("1 4 1")] {
        let items =
            [&*old, "3\n\na", "k", "0", &*new, "3\n\nb", "", "0", &*by_key, "3\n\nc", "k", "0"];
        let argv: Vec<_> = stale.into_iter().chain(items).collect();
        let told = push(&fixture, &argv);
        let first: Vec<String> = redis::from_redis_value(told[0].clone()).unwrap();
        assert_eq!(first, ["duplicate", &*old, "ready"], "a repeated call learns what it did");
        assert_eq!(told[1..], [moved("2 2 1"), moved("2 2 1")]);
    }
    assert_eq!(fixture.ids("ready"), [old]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_push_by_a_newer_routing_teaches_the_partition() {
    let fixture = Fixture::new().await;
    let [one, two] = [0; 2].map(|_| MessageId::generate().to_string());
    push(&fixture, &["3 2 1", &one, "3\n\na", "", "0"]);
    assert_eq!(fence(&fixture, &[""]).0, "3 2 1");
    // Even one that adds nothing.
    push(&fixture, &["4 3 1 2", &one, "3\n\na", "", "0"]);
    assert_eq!(push(&fixture, &["3 2 1", &two, "3\n\na", "", "0"]), [moved("4 3 1 2")]);
    let layout: String = fixture.redis(&["HGET", &fixture.key("meta"), "layout"]);
    assert_eq!(layout, "2");
    fixture.refused("push", &["0 1", &two, "3\n\na", "", "0"], "BADARG");
    fixture.refused("push", &["4 3", "x", &two, "3\n\na", "", "0"], "BADARG");
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_damaged_routing_is_none() {
    let fixture = Fixture::new().await;
    let id = MessageId::generate().to_string();
    for damage in ["", "x", "5", "5 ", "99999999999999999999 2", "5 2 x", "5 2 ", "5 0", "5 2 65"] {
        fixture.redis::<()>(&["HSET", &fixture.key("meta"), "routing", damage]);
        push(&fixture, &[&id, "3\n\na", "", "0"]);
        assert_eq!(fence(&fixture, &["1 2 1"]).0, "1 2 1", "{damage}");
    }
    let pushed = fixture.queue.push(Message::new(Raw::from("a")).id(id.parse().unwrap())).await;
    let found = Pushed::Duplicate { id: id.parse().unwrap(), state: State::Ready };
    assert_eq!(pushed.unwrap(), found);
    fixture.assert_law().await;
}

#[tokio::test]
async fn fence_takes_a_routing_of_256_bytes_and_refuses_a_longer_one() {
    let fixture = Fixture::new().await;
    let [longest, longer] = ["10 4", "100 4"].map(|head| format!("{head}{}", " 1".repeat(126)));
    assert_eq!((longest.len(), longer.len()), (256, 257));
    fixture.refused("fence", &[&longer], "BADARG");
    assert_eq!(fence(&fixture, &[&longest]).0, longest);
}
