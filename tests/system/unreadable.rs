//! Messages that another program wrote, or that were damaged: no handler gets what it cannot read,
//! and nothing is dropped.

use std::sync::{Arc, Mutex};

use redeliver::{Backoff, Context, Handler, MessageId, Payload, Policy, Queue, Raw, Worker};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, shared};

/// Far more than any header that the library writes.
const GIGANTIC: usize = 1 << 20;

async fn fixture() -> Fixture {
    Fixture::on(shared(), Policy::default().max_attempts(3).backoff(Backoff::None)).await
}

/// A message with these bytes for its record.
async fn plant(fixture: &Fixture, record: &[u8]) -> MessageId {
    let id = fixture.push("placeholder").await;
    let mut connection = shared().client().get_connection().unwrap();
    let mut plant = redis::cmd("HSET");
    plant.arg(fixture.key("messages")).arg(id.to_string()).arg(record);
    plant.exec(&mut connection).unwrap();
    id
}

/// Works until nothing is left to do.
async fn work<T: Payload>(queue: &Queue<T>, handler: impl Handler<T>) {
    let stop = CancellationToken::new();
    let working = Worker::new(queue.clone(), handler).run(stop.clone().cancelled_owned());
    let emptied = async {
        while queue.counts().await.unwrap().outstanding() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        stop.cancel();
    };
    tokio::join!(working, emptied).0.unwrap();
}

/// A handler that accepts everything, and what it got.
fn accept<T: Send + 'static>() -> (impl Handler<T>, Arc<Mutex<Vec<T>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let handler = move |payload: T, _: Context| {
        noted.lock().unwrap().push(payload);
        async {}
    };
    (handler, seen)
}

fn damaged() -> Vec<(Vec<u8>, &'static str)> {
    let deep = [b"3\n", &*b"[".repeat(GIGANTIC), b"\nx"].concat();
    let long = [b"3\n{\"kind\":\"", &*b"k".repeat(GIGANTIC), b"\nx"].concat();
    let records: [(&[u8], _); 15] = [
        (b"", "it is empty"),
        (b"\n", "its first line is no number of attempts"),
        (b"hello", "it ends before its payload"),
        (b"3", "it ends before its payload"),
        (b"3\nhello", "it ends before its payload"),
        (br#"{"id":7,"body":"x"}"#, "it ends before its payload"),
        (b"\x82\xa2id\x07\xa4body\xa1x", "it ends before its payload"),
        (b"-1\n\nx", "its first line is no number of attempts"),
        (b"1e9\n\nx", "its first line is no number of attempts"),
        (b"\xff\xfe\n\nx", "its first line is no number of attempts"),
        (b"3\n[1]\nx", "its second line is neither empty nor a JSON object"),
        (b"3\n{\"kind\":\nx", "its second line is neither empty nor a JSON object"),
        (b"3\n{\"kind\":\"\xff\"}\nx", "its second line is neither empty nor a JSON object"),
        (&deep, "its second line is neither empty nor a JSON object"),
        (&long, "its second line is neither empty nor a JSON object"),
    ];
    records.map(|(bytes, reason)| (bytes.to_vec(), reason)).to_vec()
}

#[tokio::test]
async fn worker_buries_a_record_that_it_cannot_read_with_all_its_bytes_and_goes_on() {
    let fixture = fixture().await;
    let damaged = damaged();
    let mut ids = Vec::new();
    for (record, _) in &damaged {
        ids.push(plant(&fixture, record).await);
        fixture.push("fine").await;
    }
    let (handler, seen) = accept();
    work(&fixture.queue, handler).await;
    assert_eq!(*seen.lock().unwrap(), vec![Raw::from("fine"); damaged.len()]);
    let count = u64::try_from(damaged.len()).unwrap();
    let counts = fixture.counts().await;
    assert_eq!((counts.acked, counts.buried, counts.dead), (count, count, count));

    let mut dead = Vec::new();
    let mut next = Some(0);
    while let Some(start) = next {
        let page = fixture.queue.dead().peek(start, 100).await.unwrap();
        dead.extend(page.messages);
        next = page.next;
    }
    dead.sort_by_key(|letter| letter.id);
    assert_eq!(dead.len(), damaged.len());
    for ((letter, id), (record, reason)) in dead.iter().zip(ids).zip(&damaged) {
        assert_eq!(letter.id, id);
        assert_eq!(letter.history[0].error, format!("the record cannot be read: {reason}"));
        assert!(letter.payload == *record, "{reason}: the bytes are others");
    }
    fixture.assert_law().await;
}

#[tokio::test]
async fn an_odd_header_of_another_writer_keeps_no_message_from_its_handler() {
    let fixture = fixture().await;
    let long = format!(r#"{{"headers":{{"h":"{}"}}}}"#, "v".repeat(GIGANTIC));
    let deep = format!(r#"{{"later":{}{}}}"#, "[".repeat(GIGANTIC), "]".repeat(GIGANTIC));
    let headers = [
        &long,
        &deep,
        "{}",
        r#" {"kind":7,"headers":[],"backoff":"soon"} "#,
        r#"{"kind":"a","kind":"b"}"#,
        r#"{"kind":1e999}"#,
        r#"{"backoff":{"kind":"fixed","delay_ms":18446744073709551615}}"#,
    ];
    for header in headers {
        plant(&fixture, format!("3\n{header}\nx").as_bytes()).await;
    }
    for max in ["0", "4294967296", &"9".repeat(GIGANTIC)] {
        plant(&fixture, format!("{max}\n\nx").as_bytes()).await;
    }
    let (handler, seen) = accept();
    work(&fixture.queue, handler).await;
    assert_eq!(*seen.lock().unwrap(), vec![Raw::from("x"); headers.len() + 3]);
    assert_eq!(fixture.counts().await.dead, 0);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_payload_of_another_type_is_buried_and_redriven_to_a_handler_that_reads_it() {
    let fixture = fixture().await;
    let payloads: [&[u8]; 5] = [b"\xff", b"\"cut", b"7", b"", b"\"fine\""];
    for payload in payloads {
        fixture.queue.push(Raw(payload.to_vec())).await.unwrap();
    }
    let name = fixture.queue.name().as_str();
    let texts = Queue::<String>::connect(&shared().url(), name).await.unwrap();
    let (handler, seen) = accept();
    work(&texts, handler).await;
    assert_eq!(*seen.lock().unwrap(), ["fine"]);
    let dead = fixture.queue.dead().peek(0, 10).await.unwrap().messages;
    assert_eq!(dead.len(), 4);
    for letter in &dead {
        let error = &letter.history[0].error;
        assert!(error.starts_with("payload cannot be decoded: "), "{error}");
        assert!(!error.ends_with(": "), "{error}");
    }

    let counts = fixture.counts().await;
    let swept = fixture.queue.dead().redrive_oldest(10, counts.now_ms).await.unwrap();
    assert_eq!((swept.done, swept.left), (4, 0));
    let (handler, seen) = accept();
    work(&fixture.queue, handler).await;
    let mut seen: Vec<_> = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_by_key(|payload: &Raw| payloads.iter().position(|sent| *sent == payload.0));
    assert_eq!(seen, payloads[..4].iter().map(|sent| Raw(sent.to_vec())).collect::<Vec<_>>());
    assert_eq!(fixture.counts().await.acked, 5);
    fixture.assert_law().await;
}
