//! `poll`: pollers and nothing else.

use anyhow::Result;
use redeliver::{Policy, Poller, Redriver};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Global, PollArgs};
use crate::exit_code::Exit;
use crate::output::{many, note};
use crate::server::Session;
use crate::signals::Signals;

pub(crate) async fn run(global: &Global, args: &PollArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let mut signals = Signals::catch()?;
    let stop = CancellationToken::new();
    let pollers = TaskTracker::new();
    for name in &args.queues {
        let policy = args.retention.hold_for(Policy::default());
        let queue = session.queue_under(name, policy)?;
        pollers.spawn(Redriver::new(queue.clone()).run(stop.clone().cancelled_owned()));
        pollers.spawn(Poller::new(queue).run(stop.clone().cancelled_owned()));
    }
    pollers.close();
    if !global.quiet {
        note(&format!("polling {}", many(args.queues.len() as u64, "queue")));
    }
    signals.next().await;
    stop.cancel();
    pollers.wait().await;
    Ok(Exit::Ok)
}
