//! The access rights that `redeliver acl` prints are enough for each role, and no more.

use std::time::Duration;

use redeliver::{
    Cancelled, Context, Due, Limits, Message, Outcome, Policy, Pushed, Queue, Raw, Role, State,
    Worker,
};

use crate::fixture::{Fixture, SECOND, TestServer};

/// What the program prints for a role, as the words of one command.
fn printed(role: Role, args: &[&str]) -> Vec<String> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_redeliver"));
    let output = command.args(["acl", role.as_str(), "--user", "granted"]).args(args).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line.split_whitespace().map(str::to_owned).collect()
}

/// Caps far beyond what these tests push.
fn caps() -> Limits {
    Limits { max_ready: Some(1 << 20), max_bytes: Some(1 << 30) }
}

/// The same queue for a user with these rights, and for one with all.
async fn users(server: &TestServer, role: Role) -> (Queue<Raw>, Fixture) {
    let all = Fixture::on(server, Policy::default()).await;
    let line = printed(role, &[]);
    all.redis::<()>(&line.iter().map(String::as_str).collect::<Vec<_>>());
    // Not a right of ours: the client library names itself where it may.
    all.redis::<()>(&["ACL", "SETUSER", "granted", ">secret", "+ping", "+client|setname"]);
    let url = format!("{}?user=granted&pass=secret", server.url());
    (Queue::connect(&url, all.queue.name().as_str()).await.unwrap(), all)
}

#[tokio::test]
async fn the_rights_of_a_producer_are_enough_to_push() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, Role::Producer).await;
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
    queue.register().await.unwrap();
    assert!(queue.claim(1).await.is_err());
}

/// A record that was planted from outside: no state has it, and nobody pushed it.
fn plant_orphan(all: &Fixture) {
    let id = redeliver::MessageId::generate().to_string();
    all.redis::<()>(&["HSET", &all.key("messages"), &id, "3\n\nx"]);
}

#[tokio::test]
async fn the_rights_for_everything_are_enough_for_every_verb() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, Role::Operator).await;
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
    assert_eq!(queue.cancel(&[dead[0].id]).await.unwrap(), [Cancelled::Done]);
    plant_orphan(&all);
    assert_eq!(queue.repair(|_| {}).await.unwrap().mended.len(), 2);
    assert!(queue.check(|_| {}).await.unwrap().is_clean());
    assert_eq!(queue.server().queues().await.unwrap(), [queue.name().clone()]);
    assert!(queue.server().cached_scripts().await.unwrap().contains(&true));
    all.redis::<()>(&["LPUSH", &all.key("bell"), "1"]);
    assert!(queue.destroy().await.unwrap() > 0);
}

#[tokio::test]
async fn the_rights_of_a_looker_are_enough_to_look_and_no_more() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, Role::ReadOnly).await;
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

#[tokio::test]
async fn the_rights_of_a_worker_are_enough_to_work() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, Role::Worker).await;
    for payload in ["ack", "retry", "bury", "release"] {
        let message = Message::new(Raw::from(payload)).key(payload).delay(Duration::from_millis(1));
        queue.push(message).await.unwrap();
    }
    let mut seen = Vec::new();
    let (note, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |payload: Raw, cx: Context| {
        let note = note.clone();
        async move {
            note.send(cx.attempt()).unwrap();
            match (&payload.0[..], cx.attempt()) {
                (b"retry", 1) => Outcome::retry_after(Duration::ZERO, "e"),
                (b"release", 1) => Outcome::release_after(Duration::from_millis(1)),
                (b"bury", _) => Outcome::bury("r"),
                _ => Outcome::Ack,
            }
        }
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = Worker::new(queue, handler).run(stop.clone().cancelled_owned());
    let worker = tokio::spawn(worker);
    while seen.len() < 6 {
        seen.push(ends.recv().await.unwrap());
    }
    while all.counts().await.acked + all.counts().await.buried < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    worker.await.unwrap().unwrap();
    all.assert_law().await;
}

#[tokio::test]
async fn a_user_that_may_not_ask_for_the_version_can_work() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, Role::Operator).await;
    all.redis::<()>(&["ACL", "SETUSER", "granted", "-info"]);
    let url = format!("{}?user=granted&pass=secret", server.url());
    let again: Queue<Raw> = Queue::connect(&url, queue.name().as_str()).await.unwrap();
    again.push(Raw::from("x")).await.unwrap();
    assert_eq!(again.counts().await.unwrap().ready, 1);
}

/// Raw commands as the granted user.
struct Granted(redis::Connection);

impl Granted {
    fn on(server: &TestServer) -> Self {
        let url = format!("{}?user=granted&pass=secret", server.url());
        Self(redis::Client::open(url).unwrap().get_connection().unwrap())
    }

    fn is_refused(&mut self, words: &str) -> bool {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        let answer = command.query::<redis::Value>(&mut self.0);
        answer.is_err_and(|error| error.code() == Some("NOPERM"))
    }
}

#[tokio::test]
async fn each_role_is_refused_what_it_is_not_for() {
    const NOBODY: [&str; 12] = [
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET maxmemory",
        "KEYS *",
        "ACL LIST",
        "EVAL return 0",
        "SCRIPT FLUSH",
        "CLIENT KILL ID 0",
        "REPLICAOF NO ONE",
        "HGET other:key f",
        "ZCARD rdx",
        "PUBLISH channel x",
    ];
    for role in Role::ALL {
        let server = TestServer::start(&[]);
        let (_queue, all) = users(&server, role).await;
        all.push("x").await;
        let before = all.dump();
        let ready = all.key("ready");
        let own: &[&str] = match role {
            Role::Producer => &["LRANGE 0 9", "LTRIM 1 0", "LPUSH x", "BLPOP 1", "DEL", "UNLINK"],
            Role::Worker => &["LREM 0 x", "UNLINK", "LPOS x", "TYPE"],
            Role::ReadOnly => &["RPUSH x", "LPUSH x", "LTRIM 1 0", "BLPOP 1", "DEL", "UNLINK"],
            _ => &["RENAME x", "COPY x", "EXPIRE 1", "DUMP"],
        };
        let own = own.iter().map(|words| match words.split_once(' ') {
            Some((command, rest)) => format!("{command} {ready} {rest}"),
            None => format!("{words} {ready}"),
        });
        let mut granted = Granted::on(&server);
        for words in NOBODY.map(str::to_owned).into_iter().chain(own) {
            assert!(granted.is_refused(&words), "{role} {words}");
        }
        assert!(all.dump() == before, "{role}");
        assert!(!granted.is_refused(&format!("LLEN {ready}")), "{role}");
        assert_eq!(granted.is_refused("WAIT 0 1"), role == Role::ReadOnly, "{role}");
    }
}

#[tokio::test]
async fn a_role_that_is_granted_again_keeps_its_password_and_loses_what_it_had_besides() {
    let server = TestServer::start(&[]);
    let (queue, all) = users(&server, Role::Operator).await;
    queue.push(Raw::from("x")).await.unwrap();
    all.redis::<()>(&["ACL", "SETUSER", "granted", "~*", "+@all"]);
    let line = printed(Role::ReadOnly, &[]);
    all.redis::<()>(&line.iter().map(String::as_str).collect::<Vec<_>>());
    let mut granted = Granted::on(&server);
    assert!(granted.is_refused("SET rd:x y") && granted.is_refused("ZCARD other"));
    assert!(queue.push(Raw::from("y")).await.is_err());
    assert_eq!(queue.counts().await.unwrap().ready, 1);
}

#[test]
fn the_printed_line_grants_what_the_table_says_on_the_keys_of_the_prefix() {
    for role in Role::ALL {
        let line = printed(role, &["--prefix", "other"]).join(" ");
        assert!(line.starts_with("ACL SETUSER granted on "), "{line}");
        assert!(line.ends_with(&role.rules("other").unwrap()), "{line}");
    }
}
