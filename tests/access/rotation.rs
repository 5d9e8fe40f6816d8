use std::collections::HashSet;
use std::time::Duration;

use redeliver::{Access, Context, Error, MessageId, Outcome, Queue, Raw, Server, Worker};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SECOND, TestServer};

/// What the worker has handled so far.
type Handled = watch::Receiver<HashSet<MessageId>>;

/// A user `mailer`, and the file with its password.
struct Mailer {
    server: TestServer,
    admin: Fixture,
    dir: TempDir,
}

impl Mailer {
    async fn new() -> Self {
        let server = TestServer::start(&[]);
        let admin = Fixture::on(&server, redeliver::Policy::default()).await;
        let mailer = Self { server, admin, dir: TempDir::with_prefix("rd-secret-").unwrap() };
        mailer.acl(&["on", ">old", "~*", "+@all"]);
        mailer.write("old");
        mailer
    }

    fn acl(&self, rules: &[&str]) {
        self.admin.redis::<()>(&[&["ACL", "SETUSER", "mailer"], rules].concat());
    }

    fn write(&self, password: &str) {
        std::fs::write(self.dir.path().join("password"), format!("{password}\n")).unwrap();
    }

    fn connections(&self) -> usize {
        let list: String = self.admin.redis(&["CLIENT", "LIST"]);
        list.lines().filter(|line| line.contains(" user=mailer ")).count()
    }

    fn kill_connections(&self) -> u64 {
        self.admin.redis(&["CLIENT", "KILL", "USER", "mailer"])
    }

    fn url(&self) -> String {
        format!("{}?user=mailer", self.server.url())
    }

    fn access(&self) -> Access {
        Access::default().password_file(self.dir.path().join("password"))
    }

    async fn queue(&self) -> Queue<Raw> {
        let server = Server::connect_with(&self.url(), &self.access()).await.unwrap();
        server.queue(self.admin.queue.name().as_str()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_goes_on_after_a_rotation_and_nothing_is_lost() {
    let mailer = Mailer::new().await;
    let queue = mailer.queue().await;
    let (seen, mut handled) = watch::channel(HashSet::new());
    let worker = Worker::new(queue.clone(), move |_: Raw, cx: Context| {
        seen.send_if_modified(|seen| seen.insert(cx.id()));
        async { Outcome::Ack }
    });
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    let mut confirmed = HashSet::new();
    push(&queue, &mut confirmed).await;
    reached(&mut handled, &confirmed).await;

    // The bell, the alarm, the extender, the poller and the shared link, in whatever order.
    let all = async {
        while mailer.connections() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(60 * SECOND, all).await.expect("some agents never came");
    // The new one first, then the old one goes, and whoever came in by it.
    mailer.acl(&[">new"]);
    mailer.write("new");
    mailer.acl(&["<old"]);
    mailer.kill_connections();
    push(&queue, &mut confirmed).await;
    reached(&mut handled, &confirmed).await;

    // The old one goes before anybody has the new one: a time of darkness, and then on.
    mailer.acl(&[">newest", "<new"]);
    mailer.kill_connections();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.push(Raw::from("in the dark")).await }
    });
    let denied = async {
        while mailer.denied() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(30 * SECOND, denied).await.expect("nobody is denied");
    mailer.write("newest");
    confirmed.insert(waiting.await.unwrap().unwrap().id());
    push(&queue, &mut confirmed).await;
    reached(&mut handled, &confirmed).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    let counts = mailer.admin.counts().await;
    assert_eq!((counts.acked, counts.outstanding()), (confirmed.len() as u64, 0));
    mailer.admin.assert_law().await;
}

impl Mailer {
    /// Attempts to come in that the server noted as failed.
    fn denied(&self) -> usize {
        let log: Vec<redis::Value> = self.admin.redis(&["ACL", "LOG"]);
        log.len()
    }
}

async fn push(queue: &Queue<Raw>, confirmed: &mut HashSet<MessageId>) {
    for _ in 0..20 {
        confirmed.insert(queue.push(Raw::from("x")).await.unwrap().id());
    }
}

async fn reached(handled: &mut Handled, wanted: &HashSet<MessageId>) {
    let all = handled.wait_for(|handled| wanted.is_subset(handled));
    let all = tokio::time::timeout(30 * SECOND, all).await;
    assert!(all.expect("the worker does not go on").is_ok(), "the worker has ended");
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_by_an_error_of_its_own() {
    let mailer = Mailer::new().await;
    mailer.write("canary");
    let denied = Server::connect_with(&mailer.url(), &mailer.access()).await.unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }) && denied.is_transient(), "{denied:?}");
    assert!(!denied.to_string().contains("canary"), "{denied}");
    let none = Access::default().password_from(|| Err(std::io::Error::other("vault is sealed")));
    let denied = Server::connect_with(&mailer.url(), &none).await.unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }), "{denied:?}");
    assert!(denied.to_string().contains("vault is sealed"), "{denied}");
    let asked = Access::default().password_from(|| Ok("old".to_owned()));
    assert!(Server::connect_with(&mailer.url(), &asked).await.is_ok());
}

#[tokio::test]
async fn a_server_that_wants_a_password_and_gets_none_denies() {
    let server = TestServer::start(&[]);
    let admin = Fixture::on(&server, redeliver::Policy::default()).await;
    admin.redis::<()>(&["CONFIG", "SET", "requirepass", "secret"]);
    let denied = Server::connect(&server.url()).await.unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }), "{denied:?}");
}
