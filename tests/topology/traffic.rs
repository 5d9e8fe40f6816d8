//! A producer and a worker that go on whatever happens, and what became of each message.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redeliver::{Access, Backoff, Context, MessageId, Policy, Pushed, Queue, Raw, Server, Worker};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::calm::Calm;
use crate::nodes::PATIENCE;

/// Between pushes: enough for many in each phase of a failover, and little for the machine.
const EVERY: Duration = Duration::from_millis(5);
/// Messages that are handled before something happens.
const UNDER_WAY: usize = 50;
const LOOK: Duration = Duration::from_millis(10);

pub(crate) async fn queue(url: &str, name: &str) -> Queue<Raw> {
    queue_as(url, &Access::default(), name).await
}

async fn queue_as(url: &str, access: &Access, name: &str) -> Queue<Raw> {
    let policy = Policy::default().backoff(Backoff::None).lease(Duration::from_secs(5));
    Server::connect_with(url, access)
        .await
        .unwrap()
        .queue(name)
        .unwrap()
        .with_policy(policy)
        .unwrap()
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) pushed: HashSet<MessageId>,
    pub(crate) handled: HashSet<MessageId>,
    /// Pushes that gave up with an error.
    pub(crate) failed: Vec<String>,
    /// The longest that a push took.
    pub(crate) slowest: Duration,
    last_push: Option<Instant>,
    last_handled: Option<Instant>,
}

pub(crate) struct Traffic {
    pub(crate) queue: Queue<Raw>,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pushing: CancellationToken,
    working: CancellationToken,
    producer: Option<JoinHandle<()>>,
    worker: JoinHandle<()>,
}

impl Traffic {
    pub(crate) async fn start(url: &str, name: &str) -> Self {
        Self::start_as(url, &Access::default(), name).await
    }

    pub(crate) async fn start_as(url: &str, access: &Access, name: &str) -> Self {
        let producing = queue_as(url, access, name).await;
        let queue = queue_as(url, access, name).await;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (pushing, working) = (CancellationToken::new(), CancellationToken::new());
        let handled = Arc::clone(&seen);
        let worker = Worker::new(queue.clone(), move |_: Raw, context: Context| {
            let mut seen = handled.lock().unwrap();
            seen.handled.insert(context.id());
            seen.last_handled = Some(Instant::now());
            async {}
        });
        let worker = worker.run(working.clone().cancelled_owned());
        let producer = tokio::spawn(produce(producing, Arc::clone(&seen), pushing.clone()));
        let (producer, worker) = (Some(producer), tokio::spawn(async { worker.await.unwrap() }));
        let traffic = Self { queue, seen, pushing, working, producer, worker };
        while traffic.seen.lock().unwrap().handled.len() < UNDER_WAY {
            traffic.flows_after(Calm::now()).await;
        }
        traffic
    }

    /// How long after that moment, while the machine was calm, the first message was pushed and the first one was handled.
    pub(crate) async fn flows_after(&self, calm: Calm) -> Duration {
        let begun = calm.begun;
        loop {
            {
                let seen = self.seen.lock().unwrap();
                let later = |at: Option<Instant>| at.filter(|at| *at > begun);
                if let (Some(pushed), Some(handled)) =
                    (later(seen.last_push), later(seen.last_handled))
                {
                    return calm.until(pushed.max(handled));
                }
                assert!(begun.elapsed() < PATIENCE, "nothing flows: {:?}", seen.failed);
            }
            sleep(LOOK).await;
        }
    }

    /// Pushes nothing more, and waits until the worker is idle.
    pub(crate) async fn pause(&mut self) {
        self.pushing.cancel();
        if let Some(producer) = self.producer.take() {
            producer.await.unwrap();
        }
        self.run_dry().await;
    }

    /// Waits until the worker has handled this one.
    pub(crate) async fn handled(&self, id: MessageId) {
        let begun = Instant::now();
        while !self.seen.lock().unwrap().handled.contains(&id) {
            assert!(begun.elapsed() < PATIENCE, "{id} is not handled");
            sleep(LOOK).await;
        }
    }

    /// Pushes nothing more, waits until all is handled that is there, ends, and says what was lost: what
    /// was pushed, never handled, and is in no state.
    pub(crate) async fn end(mut self) -> (Seen, HashSet<MessageId>) {
        self.pause().await;
        self.working.cancel();
        self.worker.await.unwrap();
        // What came after the worker's end may have rung for nobody: the next poller rings again.
        self.queue.redeliver(1).await.unwrap();
        let report = self.queue.check(|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let lost: HashSet<_> = seen.pushed.difference(&seen.handled).copied().collect();
        let ids: Vec<_> = lost.iter().copied().collect();
        let found = self.queue.find(&ids).await.unwrap();
        assert!(found.iter().all(Option::is_none), "there, and never handled: {found:?}");
        (seen, lost)
    }
}

impl Traffic {
    async fn run_dry(&self) {
        let begun = Instant::now();
        loop {
            if let Ok(counts) = self.queue.counts().await {
                assert!(counts.law_holds(), "{counts:?}");
                if counts.ready + counts.pending + counts.scheduled == 0 {
                    return;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "the queue does not run dry");
            sleep(LOOK).await;
        }
    }
}

async fn produce(queue: Queue<Raw>, seen: Arc<Mutex<Seen>>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let pushed = queue.push(Raw::from("x")).await;
        {
            let mut seen = seen.lock().unwrap();
            seen.slowest = seen.slowest.max(begun.elapsed());
            match pushed.map(Pushed::id) {
                Ok(id) => {
                    seen.pushed.insert(id);
                    seen.last_push = Some(Instant::now());
                }
                Err(error) => seen.failed.push(error.to_string()),
            }
        }
        sleep(EVERY).await;
    }
}
