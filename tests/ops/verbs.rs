//! Every verb with ARGV that makes it work, for what has to hold for all of them.

use redeliver::{Damage, Limits, Message, MessageId, Raw};

use crate::fixture::{Fixture, Placed, SECOND, under_test};
use crate::receipts::VERBS;

/// A queue that makes every verb move something: messages in each state, some of them overdue,
/// with attempt lines and a key, and all ten keys in being.
pub(crate) async fn busy(fixture: &Fixture) -> Placed {
    let placed = fixture.every_state().await;
    let soon = Message::new(Raw::from("soon")).key("k").delay(SECOND);
    fixture.queue.push(soon).await.unwrap();
    fixture.age("scheduled", placed.scheduled, 7200 * SECOND);
    fixture.age("pending", placed.pending, 7200 * SECOND);
    assert!(fixture.dump().iter().all(Option::is_some));
    placed
}

/// Each way that a verb can go with such a queue.
pub(crate) fn calls(placed: &Placed) -> Vec<(&'static str, Vec<String>)> {
    let [ready, scheduled, pending, dead] = placed.ids().map(|(_, id)| id.to_string());
    let [ready, scheduled, pending, dead] = [&*ready, &*scheduled, &*pending, &*dead];
    let (one, two) = (MessageId::generate().to_string(), MessageId::generate().to_string());
    let always = "9000000000000";
    let mut calls: Vec<(&str, Vec<&str>)> = vec![
        ("push", vec![&one, "3\n\na", "new", "0", &two, "3\n\na", "", "9"]),
        ("push", vec![&one, "3\n\na", "k", "0", ready, "3\n\na", "", "0"]),
        ("push", vec!["1 2 1", &one, "3\n\na", "new", "0"]),
        ("fence", vec!["1 2 1", "=k", ready, "nobody"]),
        ("fence", vec![""]),
        ("claim", vec!["10", "9999", "1000"]),
        ("claim", vec!["10", "0", "60000"]),
        ("retry", vec![pending, "1", "1 1 3", "0"]),
        ("retry", vec![pending, "1", "1 3 3", "0"]),
        ("release", vec![pending, "1", "1 0 3", "0"]),
        ("redeliver", vec!["10", "p"]),
        ("cancel", vec![ready, scheduled, pending, dead]),
        ("reschedule", vec![ready, "100", scheduled, "0", pending, "0"]),
        ("redrive", vec!["10", always]),
        ("redrive", vec!["10", always, dead]),
        ("steer", vec!["", "{}", "10", always]),
        ("steer", vec!["", "", "0", always, dead]),
        ("purge", vec!["10", always]),
        ("purge", vec!["10", always, dead]),
        ("trim", vec!["10", "0", "0"]),
        ("limit", vec!["7", ""]),
        ("pause", vec![]),
        ("resume", vec![]),
        ("find", vec![ready, scheduled, pending, dead, "nobody"]),
        ("counts", vec![]),
        ("forecast", vec!["1000", "60000"]),
        ("check", vec!["messages", "0", "10"]),
        ("check", vec!["one", ready, "1"]),
        ("check", vec!["near", ready, "1"]),
        ("check", vec!["one", "=k", "1"]),
        ("repair", vec![]),
        ("repair", vec![ready, scheduled, pending, dead, "=k"]),
        ("destroy", vec![]),
    ];
    for place in ["keyed", "attempts", "queue"] {
        calls.push(("check", vec![place, "0", "10"]));
    }
    for place in ["ready", "scheduled", "pending", "dead"] {
        calls.push(("peek", vec![place, "0", "10", "9999"]));
        calls.push(("check", vec![place, "0", "10"]));
    }
    let owned = |argv: Vec<&str>| argv.into_iter().map(str::to_owned).collect();
    let calls = calls.into_iter().map(|(verb, argv)| (verb, owned(argv)));
    let receipts = VERBS.map(|verb| (verb.name(), verb.item(pending, 1)));
    calls.chain(receipts).collect()
}

/// Sets up such a queue for each call, damages it, and has the call answer without an error.
pub(crate) async fn all_answer(damage: impl Fn(&Fixture, &Placed)) {
    // Who has changed one verb alone need not wait for the calls of all others.
    let only = std::env::var("REDELIVER_CALLS_OF").unwrap_or_default();
    let mut index = 0;
    loop {
        let fixture = Fixture::new().await;
        let placed = busy(&fixture).await;
        let mut calls = calls(&placed);
        calls.retain(|(verb, _)| only.is_empty() || *verb == only);
        assert!(!calls.is_empty(), "there is no verb {only}");
        if index == calls.len() {
            break;
        }
        let (verb, argv) = calls.swap_remove(index);
        let argv: Vec<_> = argv.iter().map(String::as_str).collect();
        damage(&fixture, &placed);
        fixture.call::<redis::Value>(verb, &argv);
        // The other half of the law needs counters that nobody damaged.
        let counts = fixture.counts().await;
        assert_eq!(counts.outstanding() + counts.dead, counts.messages, "{verb}");
        let repaired = fixture.queue.repair(|_| {}).await.unwrap();
        let moved = [Damage::Ghost, Damage::Orphan, Damage::Twice];
        assert!(moved.iter().all(|kind| !repaired.mended.contains_key(kind)), "{verb}");
        fixture.assert_law().await;
        index += 1;
    }
}

#[tokio::test]
async fn every_script_is_called_and_answers() {
    let fixture = Fixture::new().await;
    let placed = busy(&fixture).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let called: Vec<_> = calls(&placed).into_iter().map(|(verb, _)| verb).collect();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let verb = path.file_stem().unwrap().to_str().unwrap();
        let is_script = path.extension().is_some_and(|ending| ending == "lua");
        assert!(!is_script || verb == "prelude" || called.contains(&verb), "{verb}");
    }
    all_answer(|_, _| {}).await;
}

#[tokio::test]
async fn every_script_refuses_a_key_of_another_type_and_changes_nothing() {
    for key in crate::fixture::KEYS {
        for plant in ["SET", "SADD"] {
            if plant == "SADD" && under_test::lacks(under_test::Only::OtherCommands) {
                continue;
            }
            let fixture = Fixture::new().await;
            let placed = busy(&fixture).await;
            let key = fixture.key(key);
            fixture.redis::<()>(&["DEL", &key]);
            fixture.redis::<()>(&[plant, &key, "damage"]);
            for (verb, argv) in calls(&placed) {
                let argv: Vec<_> = argv.iter().map(String::as_str).collect();
                // What destroys a queue has to get rid of a damaged one too.
                if verb != "destroy" {
                    fixture.refused(verb, &argv, "WRONGTYPE");
                }
            }
            assert!(matches!(
                fixture.queue.push(Raw::from("a")).await.unwrap_err(),
                redeliver::Error::Refused { .. }
            ));
        }
    }
}

#[tokio::test]
async fn every_script_refuses_another_layout_and_changes_nothing() {
    for layout in ["3", "0", "", "1 ", "garbage"] {
        let fixture = Fixture::new().await;
        let placed = busy(&fixture).await;
        fixture.redis::<()>(&["HSET", &fixture.key("meta"), "layout", layout]);
        for (verb, argv) in calls(&placed) {
            let argv: Vec<_> = argv.iter().map(String::as_str).collect();
            fixture.refused(verb, &argv, "LAYOUT");
        }
    }
}

#[tokio::test]
async fn every_call_of_the_library_says_when_the_layout_is_another() {
    let fixture = Fixture::new().await;
    let placed = busy(&fixture).await;
    fixture.redis::<()>(&["HSET", &fixture.key("meta"), "layout", "3"]);
    let before = fixture.dump();
    let queue = &fixture.queue;
    let ids = [placed.ready];
    let errors = [
        queue.push(Raw::from("a")).await.unwrap_err(),
        queue.push_all([Raw::from("a")]).await.unwrap_err(),
        queue.claim(1).await.unwrap_err(),
        queue.redeliver(1).await.unwrap_err(),
        queue.cancel(&ids).await.unwrap_err(),
        queue.find(&ids).await.unwrap_err(),
        queue.counts().await.unwrap_err(),
        queue.check(|_| {}).await.unwrap_err(),
        queue.limit(Limits::default()).await.unwrap_err(),
        queue.repair(|_| {}).await.unwrap_err(),
        queue.pause().await.unwrap_err(),
        queue.resume().await.unwrap_err(),
        queue.destroy().await.unwrap_err(),
        queue.dead().purge(&ids).await.unwrap_err(),
        queue.dead().redrive(&ids).await.unwrap_err(),
        queue.dead().trim().await.unwrap_err(),
        placed.held.extend(SECOND).await.unwrap_err(),
        placed.held.ack().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, redeliver::Error::Layout { known: 2 }), "{error}");
    }
    assert!(fixture.dump() == before);
}
