//! Deduplication keys and messages that do not name each other are repaired.

use std::collections::BTreeMap;

use redeliver::{Damage, Message, Pushed, Raw};

use crate::fixture::Fixture;
use crate::repair::{check, mends, repair, set};

async fn keyed(fixture: &Fixture, key: &str) -> String {
    let message = Message::new(Raw::from("a")).key(key);
    fixture.queue.push(message).await.unwrap().id().to_string()
}

fn get(fixture: &Fixture, hash: &str, field: &str) -> Option<String> {
    fixture.redis(&["HGET", &fixture.key(hash), field])
}

#[tokio::test]
async fn repair_removes_a_deduplication_key_whose_message_is_gone() {
    let fixture = Fixture::new().await;
    let lives = keyed(&fixture, "lives").await;
    set(&fixture, "keyed", "=k", "nobody");
    mends(&fixture, &[(Damage::StaleKey, 1)]).await;
    set(&fixture, "keyed", "=k", "nobody");
    set(&fixture, "keyed", "nobody", "k");
    mends(&fixture, &[(Damage::StaleKey, 2)]).await;
    set(&fixture, "keyed", "nobody", "lives");
    mends(&fixture, &[(Damage::StaleKey, 1)]).await;
    assert_eq!(get(&fixture, "keyed", "=lives"), Some(lives));
    assert_eq!(fixture.len("keyed"), 2);
}

#[tokio::test]
async fn repair_makes_a_key_and_its_message_name_each_other() {
    let fixture = Fixture::new().await;
    let id = keyed(&fixture, "k").await;
    for half in ["=k", &id] {
        fixture.redis::<()>(&["HDEL", &fixture.key("keyed"), half]);
        let crossed = check(&fixture).await;
        assert_eq!(crossed.kinds, BTreeMap::from([(Damage::CrossedKey, 1)]));
        mends(&fixture, &[(Damage::CrossedKey, 1)]).await;
        assert_eq!(get(&fixture, "keyed", "=k"), Some(id.clone()));
        assert_eq!(get(&fixture, "keyed", &id).as_deref(), Some("k"));
    }
    let again = fixture.queue.push(Message::new(Raw::from("b")).key("k")).await.unwrap();
    assert!(matches!(again, Pushed::Duplicate { .. }));
}

#[tokio::test]
async fn a_message_takes_what_is_left_of_its_key_along() {
    let fixture = Fixture::new().await;
    keyed(&fixture, "k").await;
    fixture.redis::<()>(&["HDEL", &fixture.key("keyed"), "=k"]);
    let _settled = fixture.claim().await.ack().await.unwrap();
    assert_eq!(fixture.len("keyed"), 0);
}

#[tokio::test]
async fn repair_takes_a_lost_key_back_from_a_message_that_is_gone() {
    let fixture = Fixture::new().await;
    let id = keyed(&fixture, "k").await;
    set(&fixture, "keyed", "=k", "nobody");
    mends(&fixture, &[(Damage::StaleKey, 1), (Damage::CrossedKey, 1)]).await;
    assert_eq!(get(&fixture, "keyed", "=k"), Some(id));
}

#[tokio::test]
async fn repair_gives_a_key_that_two_messages_have_to_the_one_that_it_names() {
    let fixture = Fixture::new().await;
    let (one, two) = (keyed(&fixture, "k").await, fixture.push("b").await.to_string());
    set(&fixture, "keyed", &two, "k");
    mends(&fixture, &[(Damage::CrossedKey, 1)]).await;
    assert_eq!(get(&fixture, "keyed", "=k"), Some(one));
    assert_eq!(get(&fixture, "keyed", &two), None);
}

#[tokio::test]
async fn repair_gives_a_key_back_that_names_a_message_with_another_key() {
    let fixture = Fixture::new().await;
    let (one, two) = (keyed(&fixture, "k").await, keyed(&fixture, "l").await);
    set(&fixture, "keyed", "=k", &two);
    mends(&fixture, &[(Damage::CrossedKey, 2)]).await;
    assert_eq!(get(&fixture, "keyed", "=k"), Some(one));
    assert_eq!(get(&fixture, "keyed", "=l"), Some(two.clone()));
    // By the id alone it comes to the same.
    set(&fixture, "keyed", "=k", &two);
    let one = get(&fixture, "keyed", "=k").map(|_| fixture.ids("ready")[0].clone()).unwrap();
    assert_eq!(repair(&fixture, &[&one]), [&one, "crossed_key"]);
    mends(&fixture, &[]).await;
}
