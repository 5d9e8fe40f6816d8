//! `dead import`: exported dead letters pushed as messages.

use anyhow::{Context as _, Result};
use clap::Args;
use redeliver::{MAX_PAYLOAD, Message, Policy, Pushed, QueueName, Raw};
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncRead;

use super::letter::Letter;
use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::lines::Lines;
use crate::output::{many, note, progress};
use crate::server::Session;
use crate::signals::Signals;

/// The end of the help of `dead import`.
pub(crate) const HELP: &str = "\
The messages are ready at once, with their failures forgotten. A message whose id lives in the queue,
dead or not, is a duplicate and changes nothing: an import can be repeated after it was cut short.

Examples:
  redeliver dead import emails emails-dead.ndjson
  redeliver dead export emails | redeliver dead import emails-again";

/// Any byte of a payload as \\u0000, and what else a letter holds.
const MAX_LINE: usize = 6 * MAX_PAYLOAD + (1 << 20);

/// What goes where.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The queue's name.
    queue: QueueName,
    /// The file, or - for stdin.
    #[arg(default_value = "-")]
    file: String,
}

#[derive(Debug, Default)]
struct Done {
    imported: u64,
    duplicates: u64,
    interrupted: bool,
}

pub(crate) async fn run(global: &Global, args: &ImportArgs) -> Result<Exit> {
    let input: Box<dyn AsyncRead + Unpin + Send> = if args.file == "-" {
        Box::new(tokio::io::stdin())
    } else {
        Box::new(File::open(&args.file).await.with_context(|| args.file.clone())?)
    };
    let session = Session::open(global).await?;
    let done = import(&session, &args.queue, input).await?;
    let Done { imported, duplicates, interrupted } = done;
    if interrupted {
        note("interrupted; repeat the import to go on");
    }
    let name = args.queue.as_str();
    let json = json!({"queue": name, "imported": imported, "duplicates": duplicates});
    session.out.one(&json, || {
        let told = many(imported, "message");
        format!("{told} imported to {name}, {}", many(duplicates, "duplicate"))
    })?;
    Ok(if interrupted { Exit::Failure } else { Exit::Ok })
}

async fn import(
    session: &Session,
    name: &QueueName,
    input: impl AsyncRead + Unpin,
) -> Result<Done> {
    // What another policy let in has to come back in.
    let queue = session.queue_under(name, Policy::default().payload_limit(MAX_PAYLOAD))?;
    let mut signals = Signals::catch()?;
    let (mut lines, mut done) = (Lines::new(input, MAX_LINE), Done::default());
    let bar = progress("messages imported");
    loop {
        let first = lines.read + 1;
        let batch = tokio::select! {
            batch = lines.batch() => batch?,
            () = signals.next() => {
                done.interrupted = true;
                break;
            }
        };
        if batch.is_empty() {
            break;
        }
        let messages = parse(&batch, first)?;
        let pushed = queue.push_all(messages).await.with_context(|| {
            format!("lines {first} to {} ({} imported before)", lines.read, done.imported)
        })?;
        for outcome in pushed {
            match outcome {
                Pushed::Duplicate { .. } => done.duplicates += 1,
                _ => done.imported += 1,
            }
        }
        bar.set_position(done.imported + done.duplicates);
    }
    bar.finish_and_clear();
    Ok(done)
}

fn parse(batch: &[Vec<u8>], first: u64) -> Result<Vec<Message<Raw>>> {
    let numbered = batch.iter().zip(first..).filter(|(line, _)| !line.is_empty());
    let letters = numbered.map(|(line, number)| {
        let wrong = |wrong| fail(Exit::Failure, format!("line {number} is no letter: {wrong}"));
        Letter::parse(line).map_err(wrong)
    });
    letters.collect()
}
