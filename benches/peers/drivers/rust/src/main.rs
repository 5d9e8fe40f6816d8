//! One program for every peer with a Rust client: `peers <peer> push N [options]`, `peers <peer> work`.
//!
//! The contract is the same for all drivers, whatever their language; see the README.

mod apalis_redis_peer;
mod bullmq_peer;
mod common;
mod redeliver_peer;
mod rsmq_peer;

use anyhow::{Context, bail};
use common::{Push, Work};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let peer = args.next().context("which peer?")?;
    let command = args.next().context("push or work?")?;
    match command.as_str() {
        "push" => push(&peer, Push::parse(args)?).await,
        "work" => work(&peer, Work::from_env()?).await,
        other => bail!("{other}: it takes push or work"),
    }
}

async fn push(peer: &str, push: Push) -> anyhow::Result<()> {
    match peer {
        "redeliver" => redeliver_peer::push(push).await,
        "bullmq-rs" => bullmq_peer::push(push).await,
        "apalis" => apalis_redis_peer::push(push).await,
        "rsmq" => rsmq_peer::push(push).await,
        other => bail!("no peer {other}"),
    }
}

async fn work(peer: &str, work: Work) -> anyhow::Result<()> {
    match peer {
        "redeliver" => redeliver_peer::work(work).await,
        "bullmq-rs" => bullmq_peer::work(work).await,
        "apalis" => apalis_redis_peer::work(work).await,
        "rsmq" => rsmq_peer::work(work).await,
        other => bail!("no peer {other}"),
    }
}
