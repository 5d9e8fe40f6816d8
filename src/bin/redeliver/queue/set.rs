//! `queue set`: the caps of a queue, and how many partitions it has.

use anyhow::Result;
use clap::{ArgGroup, Args};
use redeliver::{Limits, MAX_PARTITIONS, QueueName};
use serde_json::json;

use super::whole::introduce;
use crate::args::Global;
use crate::exit_code::Exit;
use crate::output::many;
use crate::server::Session;

/// How it is used, for the end of its help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  redeliver queue set emails --max-ready 100000
  redeliver queue set emails --max-bytes 2GiB
  redeliver queue set emails --max-ready 0 --max-bytes 0
  redeliver queue set emails --partitions 4";

/// What is set; what is not given stays as it is.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct SetArgs {
    /// The queue's name.
    queue: QueueName,
    /// Refuses pushes to ready beyond this many messages; delayed ones are taken.
    #[arg(long, value_name = "N", group = "what")]
    max_ready: Option<u64>,
    /// Refuses every new message while all records take this much memory, as the server estimates
    /// it: bytes, or a number with kB, MB, GB, KiB, MiB or GiB.
    #[arg(long, value_name = "SIZE", value_parser = size, group = "what")]
    max_bytes: Option<u64>,
    /// Spreads the queue over this many partitions, 1 to 64. With fewer than before, those beyond
    /// take no more pushes and are served until they are empty.
    #[arg(
        long,
        value_name = "N",
        group = "what",
        value_parser = clap::value_parser!(u32).range(1..=MAX_PARTITIONS.into())
    )]
    partitions: Option<u32>,
}

pub(crate) async fn run(global: &Global, args: &SetArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let limits = Limits { max_ready: args.max_ready, max_bytes: args.max_bytes };
    let queue = session.queue(&args.queue)?;
    let parts = match args.partitions {
        Some(count) => queue.set_partitions(count).await?,
        None => queue.partitions().await?,
    };
    let held = queue.limit(limits).await?;
    let [max_ready, max_bytes] =
        [held.max_ready, held.max_bytes].map(|cap| cap.filter(|cap| *cap > 0));
    let json = json!({
        "queue": args.queue.as_str(),
        "max_ready": max_ready,
        "max_bytes": max_bytes,
        "partitions": parts.count,
        "draining": parts.draining,
    });
    session.out.one(&json, || {
        let told = |cap: Option<u64>| cap.map_or_else(|| "none".to_owned(), |cap| cap.to_string());
        let (ready, bytes) = (told(max_ready), told(max_bytes));
        let caps = format!("{}: max ready {ready}, max bytes {bytes}", args.queue);
        let count = many(parts.count.into(), "partition");
        match parts.draining.len() {
            0 => format!("{caps}, {count}"),
            draining => format!("{caps}, {count}, {draining} more to drain"),
        }
    })?;
    introduce(global, &queue).await;
    Ok(Exit::Ok)
}

const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
    ("", 1),
];

fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let number = digits.parse::<u64>().ok();
    number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor)).ok_or_else(|| {
        "it takes a whole number with B, kB, MB, GB, KiB, MiB, GiB or none".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit_and_nothing_else_is() {
        let read = [("0", 0), ("512", 512), ("2GiB", 2 << 30), ("3 MB", 3_000_000), ("1kB", 1000)];
        for (text, bytes) in read {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "GiB", "1.5GB", "-1", "1TB", "1 k", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
