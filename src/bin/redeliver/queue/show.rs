//! `queue show`: a queue in full, with what falls due next.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Global, QueueArgs};
use crate::counts::{Counted, in_full};
use crate::exit_code::Exit;
use crate::output::table;
use crate::server::Session;

/// The times to come that are shown.
const AHEAD: [(&str, u64); 4] =
    [("now", 0), ("a minute", 60), ("an hour", 3_600), ("a day", 86_400)];

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    counted: &'a Counted,
    forecast: Vec<Value>,
}

pub(crate) async fn run(global: &Global, args: &QueueArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    let counts = queue.counts().await?;
    let ahead = queue.forecast(&AHEAD.map(|(_, secs)| Duration::from_secs(secs))).await?;
    let counted = Counted { queue: args.queue.clone(), counts };
    let upto = || AHEAD.iter().zip(ahead.scheduled.iter().zip(&ahead.pending));
    let forecast = upto().map(
        |((_, secs), (due, leases))| json!({"within_secs": secs, "due": due, "leases_end": leases}),
    );
    let shown = Shown { counted: &counted, forecast: forecast.collect() };
    session.out.one(&shown, || {
        let rows = upto().map(|((name, _), (due, leases))| {
            vec![(*name).to_owned(), due.to_string(), leases.to_string()]
        });
        let rows: Vec<_> = rows.collect();
        format!(
            "{}\n\n{}",
            in_full(&counted.counts),
            table(&["within", "due", "leases end"], &rows)
        )
    })?;
    Ok(Exit::Ok)
}
