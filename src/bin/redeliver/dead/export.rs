//! `dead export`: dead letters as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use redeliver::{QueueName, State};
use serde_json::json;

use super::letter::Letter;
use crate::args::Global;
use crate::exit_code::Exit;
use crate::filter::FilterArgs;
use crate::output::{self, many, note, progress};
use crate::server::Session;
use crate::signals::Signals;
use crate::walk::Walk;

/// The end of the help of `dead export`.
pub(crate) const HELP: &str = "\
Each line has all that a message carries: id, header, retry rule, payload (payload_base64 where it is
no text), and what it has been through. Its deduplication key is not told by the server, and so not
exported. The dead letters stay; `dead purge` removes them.

Examples:
  redeliver dead export emails emails-dead.ndjson
  redeliver dead export emails --error timeout | jq .payload";

/// Which dead letters go where.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The queue's name.
    queue: QueueName,
    /// A file that does not exist yet, or - for stdout.
    #[arg(default_value = "-")]
    file: String,
    #[command(flatten)]
    filter: FilterArgs,
}

pub(crate) async fn run(global: &Global, args: &ExportArgs) -> Result<Exit> {
    let mut signals = Signals::catch()?;
    let session = Session::open(global).await?;
    let queue = session.queue(&args.queue)?;
    let mut target = Target::open(&args.file)?;
    let counts = queue.counts().await?;
    let filter = args.filter.at(counts.now_ms);
    let bar = progress("dead letters looked at");
    bar.set_length(counts.dead);
    let (mut walk, mut exported, mut interrupted) = (Walk::new(&queue, State::Dead), 0, false);
    while let Some(letters) = walk.page().await? {
        for letter in letters.iter().filter(|letter| filter.takes(letter)) {
            serde_json::to_writer(&mut target, &Letter::of(letter)).map_err(io::Error::from)?;
            target.write_all(b"\n")?;
            exported += 1;
        }
        bar.inc(letters.len() as u64);
        interrupted = signals.came();
        if interrupted {
            break;
        }
    }
    bar.finish_and_clear();
    target.close()?;
    if interrupted {
        note(&format!("interrupted after {}", many(exported, "dead letter")));
    }
    if args.file != "-" {
        let json = json!({"queue": args.queue.as_str(), "exported": exported, "file": args.file});
        let told = || format!("{} exported to {}", many(exported, "dead letter"), args.file);
        session.out.one(&json, told)?;
    }
    Ok(if interrupted { Exit::Failure } else { Exit::Ok })
}

/// A new file, or stdout.
enum Target {
    File(BufWriter<File>),
    Stdout(BufWriter<io::Stdout>),
}

impl Target {
    fn open(path: &str) -> Result<Self> {
        if path == "-" {
            return Ok(Self::Stdout(BufWriter::new(output::stdout())));
        }
        let file = File::create_new(Path::new(path)).with_context(|| path.to_owned())?;
        Ok(Self::File(BufWriter::new(file)))
    }

    /// What was exported may be purged next: it has to be on the disk by then.
    fn close(mut self) -> io::Result<()> {
        self.flush()?;
        match self {
            Self::File(file) => file.get_ref().sync_all(),
            Self::Stdout(_) => Ok(()),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}
