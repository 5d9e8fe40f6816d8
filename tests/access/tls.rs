use std::time::Duration;

use redeliver::{Access, Context, Error, Outcome, Pushed, Queue, Raw, Server, Worker};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::certificates::Secured;
use crate::fixture::SECOND;

async fn refused(url: &str, access: &Access) -> String {
    let error = Server::connect_with(url, access).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_server_is_trusted_by_our_own_ca_and_by_no_other() {
    let Some(secured) = Secured::start("no") else { return };
    let url = secured.url();
    let server = Server::connect_with(&url, &secured.ca.trusted()).await.unwrap();
    let queue: Queue<Raw> = server.queue("q").unwrap();
    assert!(matches!(queue.push(Raw::from("x")).await.unwrap(), Pushed::Ready(_)));

    let other = Authority::new("another CA");
    let told = refused(&url, &other.trusted()).await;
    let named = other.path("ca.pem").display().to_string();
    assert!(told.contains("invalid peer certificate") && told.contains(&named), "{told}");
    let told = refused(&url, &Access::default()).await;
    assert!(told.contains("the system's certificates"), "{told}");
    // The certificate is for the address, not for the name.
    let by_name = url.replace("127.0.0.1", "localhost");
    let told = refused(&by_name, &secured.ca.trusted()).await;
    assert!(told.contains("not valid for name"), "{told}");
}

#[tokio::test]
async fn plain_text_is_not_taken_for_tls_and_no_check_can_be_skipped() {
    let Some(secured) = Secured::start("no") else { return };
    let plain = secured.url().replace("rediss", "redis");
    assert!(Server::connect(&plain).await.is_err());
    let insecure = format!("{}/#insecure", secured.url());
    assert!(Server::connect(&insecure).await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_ours_gets_it() {
    let Some(secured) = Secured::start("yes") else { return };
    let (certificate, key) = secured.ca.sign("client");
    let access = secured.ca.trusted().certificate_files(certificate, key);
    let server = Server::connect_with(&secured.url(), &access).await.unwrap();
    server.queue::<Raw>("q").unwrap().push(Raw::from("x")).await.unwrap();

    let told = refused(&secured.url(), &secured.ca.trusted()).await;
    assert!(told.contains("TLS to 127.0.0.1"), "{told}");
    let stranger = Authority::new("a stranger");
    let (certificate, key) = stranger.sign("client");
    let shown = certificate.display().to_string();
    let strange = secured.ca.trusted().certificate_files(certificate, key);
    let told = refused(&secured.url(), &strange).await;
    assert!(told.contains(&shown), "{told}");
}

/// The bell, the alarm, the extender and the poller have connections of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_works_by_tls_with_its_bell_and_its_leases() {
    let Some(secured) = Secured::start("no") else { return };
    let server = Server::connect_with(&secured.url(), &secured.ca.trusted()).await.unwrap();
    let queue: Queue<Raw> = server.queue("q").unwrap();
    let (note, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let finish = CancellationToken::new();
    let long = finish.clone();
    let handler = move |payload: Raw, cx: Context| {
        let (note, long) = (note.clone(), long.clone());
        async move {
            if payload.0 == b"long" {
                long.cancelled().await;
            }
            note.send(cx.attempt()).unwrap();
            Outcome::Ack
        }
    };
    let stop = CancellationToken::new();
    let worker = Worker::new(queue.clone(), handler).lease(3 * SECOND);
    let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    let id = queue.push(Raw::from("long")).await.unwrap().id();
    queue.push(Raw::from("short")).await.unwrap();
    let later = redeliver::Message::new(Raw::from("later")).delay(Duration::from_millis(50));
    queue.push(later).await.unwrap();
    let deadline = async || queue.find(&[id]).await.unwrap()[0].as_ref().unwrap().at_ms;
    let waited = tokio::time::timeout(60 * SECOND, async {
        let mut attempts = vec![ends.recv().await, ends.recv().await];
        let first = deadline().await;
        while deadline().await == first {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        finish.cancel();
        attempts.push(ends.recv().await);
        attempts
    });
    assert_eq!(waited.await.expect("the worker stands still"), [Some(1); 3]);
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!(queue.counts().await.unwrap().acked, 3);
}
