use std::time::Duration;

use redeliver::{Message, Policy, Queue, Raw};

use crate::fixture::{Fixture, TestServer};

const PAYLOAD: usize = 100;

fn used_memory(fixture: &Fixture) -> f64 {
    let info: String = fixture.redis(&["INFO", "memory"]);
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    used.trim().parse().unwrap()
}

/// Bytes a message, after the given number of them, for messages that wait this long.
async fn bytes_per_message(counts: &[usize], delay: Duration) -> Vec<(usize, f64)> {
    let server = TestServer::start(&[]);
    let fixture = Fixture::on(&server, Policy::default()).await;
    let queue: Queue<Raw> = fixture.queue.clone();
    queue.push(Raw::default()).await.unwrap();
    let before = used_memory(&fixture);
    let mut pushed = 0;
    let mut costs = Vec::new();
    for count in counts {
        let message = || Message::new(Raw(vec![b'x'; PAYLOAD])).delay(delay);
        queue.push_all((pushed..*count).map(|_| message())).await.unwrap();
        pushed = *count;
        costs.push((pushed, (used_memory(&fixture) - before) / pushed as f64));
    }
    costs
}

/// Just after a table has doubled it is half empty; buffers of connections weigh with few messages.
const ELSEWHERE: f64 = 1.1;
/// Counts on both sides of where a hash table of the server doubles.
const COUNTS: [usize; 6] = [20_000, 32_000, 33_000, 50_000, 66_000, 100_000];

#[tokio::test]
async fn a_ready_message_costs_at_most_220_bytes() {
    for (count, bytes) in bytes_per_message(&COUNTS, Duration::ZERO).await {
        let most = if count == 50_000 { 220.0 } else { ELSEWHERE * 220.0 };
        assert!(bytes <= most, "{bytes:.1} bytes each at {count}");
        eprintln!("ready: {bytes:.1} bytes each at {count}");
    }
}

#[tokio::test]
async fn a_scheduled_message_costs_at_most_320_bytes() {
    for (count, bytes) in bytes_per_message(&COUNTS, Duration::from_secs(3600)).await {
        let most = if count == 50_000 { 320.0 } else { ELSEWHERE * 320.0 };
        assert!(bytes <= most, "{bytes:.1} bytes each at {count}");
        eprintln!("scheduled: {bytes:.1} bytes each at {count}");
    }
}
