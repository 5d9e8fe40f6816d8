//! The access rights that `docs/operating.md` tells people to grant are enough.

use redeliver::{Due, Limits, Message, Policy, Pushed, Queue, Raw, State};

use crate::fixture::{Fixture, SECOND, TestServer};

/// The rights under the given heading, word by word as they stand in the document.
fn documented(heading: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with(&format!("# {heading}"))).skip(1);
    let lines = lines.take_while(|line| line.starts_with('~') || line.starts_with("  "));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Caps far beyond what these tests push.
fn caps() -> Limits {
    Limits { max_ready: Some(1 << 20), max_bytes: Some(1 << 30) }
}

/// The same queue for a user with these rights, and for one with all.
async fn users(server: &TestServer, heading: &str) -> (Queue<Raw>, Fixture) {
    let all = Fixture::on(server, Policy::default()).await;
    let rights = documented(heading);
    assert!(rights.len() > 10, "{heading}: {rights:?}");
    let mut command = vec!["ACL", "SETUSER", "granted", "reset", "on", ">secret"];
    // Not a right of ours: the client library names itself where it may.
    command.extend(["+ping", "+client|setname"]);
    command.extend(rights.iter().map(String::as_str));
    all.redis::<()>(&command);
    let url = format!("{}?user=granted&pass=secret", server.url());
    (Queue::connect(&url, all.queue.name().as_str()).await.unwrap(), all)
}

#[tokio::test]
async fn the_rights_of_a_producer_are_enough_to_push() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, "only push").await;
    let keyed = || Message::new(Raw::from("x")).key("k");
    let first = queue.push(keyed()).await.unwrap().id();
    assert!(
        matches!(queue.push(keyed()).await.unwrap(), Pushed::Duplicate { id, .. } if id == first)
    );
    queue.push(keyed().key("later").delay(SECOND)).await.unwrap();
    all.queue.limit(caps()).await.unwrap();
    // The record is gone, its key has stayed: the next push takes it over.
    all.redis::<()>(&["HDEL", &all.key("messages"), &first.to_string()]);
    assert!(matches!(queue.push(keyed()).await.unwrap(), Pushed::Ready(_)));
    assert!(queue.claim(1).await.is_err());
}

#[tokio::test]
async fn the_rights_for_everything_are_enough_for_every_verb() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, "everything").await;
    for payload in ["ack", "retry", "bury", "release", "bury", "ready"] {
        queue
            .push(Message::new(Raw::from(payload)).key(fastrand::u64(..).to_string()))
            .await
            .unwrap();
    }
    let mut claimed = queue.claim(5).await.unwrap().into_iter();
    let mut next = || claimed.next().unwrap();
    let _settled = next().ack().await.unwrap();
    let _settled = next().retry_after(SECOND, "e").await.unwrap();
    let _settled = next().bury("r").await.unwrap();
    let _settled = next().release(SECOND).await.unwrap();
    let last = next();
    let _settled = last.extend(60 * SECOND).await.unwrap();
    let _settled = last.bury("r").await.unwrap();
    queue.redeliver(10).await.unwrap();
    queue.limit(caps()).await.unwrap();
    queue.push(Raw::from("within the caps")).await.unwrap();
    queue.pause().await.unwrap();
    queue.resume().await.unwrap();
    for state in State::ALL {
        queue.peek(state, 0, 10).await.unwrap();
    }
    let dead = queue.dead().peek(0, 10).await.unwrap().messages;
    assert_eq!(queue.dead().redrive(&[dead[0].id]).await.unwrap(), 1);
    assert_eq!(queue.dead().purge(&[dead[1].id]).await.unwrap(), 1);
    queue.dead().trim().await.unwrap();
    queue.reschedule(&[dead[0].id], Due::After(60 * SECOND)).await.unwrap();
    assert_eq!(queue.cancel(&[dead[0].id]).await.unwrap(), [true]);
    assert!(queue.check(|_| {}).await.unwrap().is_clean());
    assert_eq!(queue.server().queues().await.unwrap(), [queue.name().clone()]);
    all.redis::<()>(&["LPUSH", &all.key("bell"), "1"]);
    assert!(queue.destroy().await.unwrap() > 0);
}

#[tokio::test]
async fn the_rights_of_a_looker_are_enough_to_look_and_no_more() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, "only look").await;
    let id = all.push("x").await;
    assert_eq!(queue.counts().await.unwrap().ready, 1);
    assert_eq!(queue.peek(State::Ready, 0, 10).await.unwrap().messages.len(), 1);
    assert!(queue.find(&[id]).await.unwrap()[0].is_some());
    assert_eq!(queue.forecast(&[SECOND]).await.unwrap().scheduled, [0]);
    assert!(queue.check(|_| {}).await.unwrap().is_clean());
    assert_eq!(queue.server().queues().await.unwrap().len(), 1);
    assert!(queue.cancel(&[id]).await.is_err());
    all.assert_law().await;
}
