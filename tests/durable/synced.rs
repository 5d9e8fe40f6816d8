use redeliver::{Durability, Policy, Pushed, Raw};

use crate::fixture::{Fixture, TestServer};
use crate::pair::calls;

async fn push_on(settings: &[&str]) -> Pushed {
    let server = TestServer::start(settings);
    let fixture = Fixture::on(&server, Policy::default().durability(Durability::Synced)).await;
    let before = calls(&server, "config|get");
    let pushed = fixture.queue.push(Raw::from("x")).await.unwrap();
    assert_eq!(fixture.counts().await.ready, 1);
    assert_eq!(calls(&server, "config|get"), before + 1);
    pushed
}

#[tokio::test]
async fn a_push_is_proven_when_every_write_is_synced() {
    let pushed = push_on(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    assert!(matches!(pushed, Pushed::Ready(_)), "{pushed:?}");
}

/// `WAITAOF` would say otherwise, and be wrong.
#[tokio::test]
async fn a_push_is_not_proven_when_writes_are_synced_later_or_never() {
    let never: &[&str] = &[];
    let sometimes = ["--appendonly", "yes", "--appendfsync", "always"];
    let sometimes = [&sometimes[..], &["--no-appendfsync-on-rewrite", "yes"]].concat();
    let later = ["--appendonly", "yes", "--appendfsync", "everysec"];
    for settings in [never, &sometimes, &later] {
        let pushed = push_on(settings).await;
        assert!(matches!(pushed, Pushed::Unproven { confirmed: 0, .. }), "{settings:?} {pushed:?}");
    }
}

/// What holds is looked at behind each write, not remembered.
#[tokio::test]
async fn a_setting_that_changes_is_seen_by_the_next_push() {
    let server = TestServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let fixture = Fixture::on(&server, Policy::default().durability(Durability::Synced)).await;
    for (setting, proven) in [("always", true), ("everysec", false), ("always", true)] {
        fixture.redis::<()>(&["CONFIG", "SET", "appendfsync", setting]);
        let pushed = fixture.queue.push(Raw::from("x")).await.unwrap();
        assert_eq!(matches!(pushed, Pushed::Ready(_)), proven, "{setting} {pushed:?}");
    }
}
