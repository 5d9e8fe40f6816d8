//! Two messages with delays of 5 s and 10 s, and a receiver that fails at first.
//!
//! ```sh
//! REDELIVER_URL=redis://127.0.0.1 cargo run --example resend
//! ```
//!
//! Nothing is discarded: a failed message waits for its backoff and comes back, and one whose
//! attempts are spent would be kept as a dead letter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redeliver::{Backoff, Context, Message, MessageId, Queue, Worker};
use tokio::sync::Notify;

const MAX_ATTEMPTS: u32 = 4;
/// The receiver takes nothing before this call.
const FIRST_SUCCESS: u32 = 3;

#[tokio::main]
async fn main() -> redeliver::Result<()> {
    let url = std::env::var("REDELIVER_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let name = format!("resend-{}", MessageId::generate());
    let queue: Queue<String> = Queue::connect(&url, &name).await?;

    let timeline = Timeline(Instant::now());
    for (text, delay) in [("first", 5), ("second", 10)] {
        let backoff = Backoff::exponential(Duration::from_secs(1)).cap(Duration::from_secs(4));
        let message = Message::new(text.to_owned())
            .delay(Duration::from_secs(delay))
            .retry(backoff.max_attempts(MAX_ATTEMPTS));
        queue.push(message).await?;
        timeline.note(&format!("{text:<6}  pushed, due in {delay} s"));
    }

    let delivered = Arc::new(Notify::new());
    let calls = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&delivered);
    let handler = move |text: String, context: Context| {
        let (calls, told) = (Arc::clone(&calls), Arc::clone(&told));
        async move {
            let attempt = format!("{text:<6}  attempt {} of {MAX_ATTEMPTS}", context.attempt());
            if calls.fetch_add(1, Ordering::Relaxed) + 1 < FIRST_SUCCESS {
                timeline.note(&format!("{attempt}: the receiver is down"));
                return Err("the receiver is down");
            }
            timeline.note(&format!("{attempt}: delivered"));
            told.notify_one();
            Ok(())
        }
    };
    let both_delivered = async {
        delivered.notified().await;
        delivered.notified().await;
    };
    Worker::new(queue.clone(), handler).run(both_delivered).await?;

    let counts = queue.counts().await?;
    timeline.note(&format!(
        "{} pushed, {} retried, {} acknowledged, {} left",
        counts.pushed, counts.retried, counts.acked, counts.messages
    ));
    queue.destroy().await?;
    Ok(())
}

/// Notes what happens, with the time since the start.
#[derive(Clone, Copy)]
struct Timeline(Instant);

impl Timeline {
    #[expect(clippy::print_stdout, reason = "an example shows what it does")]
    fn note(self, text: &str) {
        println!("{:>7.3} s  {text}", self.0.elapsed().as_secs_f64());
    }
}
