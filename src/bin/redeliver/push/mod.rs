//! `push`: one message, or one for each line.

mod many;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::Args;
use jiff::Timestamp;
use redeliver::{
    Backoff, DEFAULT_PAYLOAD_LIMIT, Durability, Message, MessageId, Policy, Pushed, Queue,
    QueueName, Raw, Retry,
};
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::args::Global;
use crate::backoff;
use crate::exit_code::{Exit, fail};
use crate::server::Session;

/// `push`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  redeliver push emails '{\"to\": \"a@b.c\"}' --delay 30s
  redeliver push orders @order.json --key order-42 --max-attempts 8 --backoff exponential:1s:10m:jitter
  seq 1 1000 | redeliver push numbers --lines
  redeliver push payments @payment.json --durability replicated:2 --proof-timeout 5s
  redeliver push imports @rows.ndjson --lines --key 'rows-{line}'")]
pub(crate) struct PushArgs {
    /// The queue's name.
    queue: QueueName,
    /// The payload: text, - for stdin, or @FILE; stdin if not given.
    #[arg(allow_negative_numbers = true)]
    payload: Option<String>,
    /// Pushes one message for each line of stdin or of the file.
    #[arg(long)]
    lines: bool,
    /// Delivers it this long after the push.
    #[arg(long, value_name = "DURATION", value_parser = backoff::duration, conflicts_with = "at")]
    delay: Option<Duration>,
    /// Delivers it at this time, such as 2030-01-31T08:00:00Z; a past one means now.
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
    /// Pushes nothing while a message with this key lives. With --lines, {line} stands for the
    /// number of the line.
    #[arg(long)]
    key: Option<String>,
    /// Lets it die after this many failures; 0 means never.
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Waits after each failure: `none`, `fixed:200ms`, `linear:1s[:cap]`, `exponential:1s[:cap][:jitter]`
    /// or `list:1s,5s,1m`.
    #[arg(long, value_name = "SPEC", value_parser = backoff::parse)]
    backoff: Option<Backoff>,
    /// Adds a header of your own; may be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Says what kind of message it is.
    #[arg(long)]
    kind: Option<String>,
    /// Gives it this id, so that the push can be repeated: while the message lives, that changes
    /// nothing.
    #[arg(long, value_name = "ULID", conflicts_with = "lines")]
    id: Option<MessageId>,
    /// Waits until it is as safe as this: `memory`, `synced` (on the server's disk), `replicated` (in
    /// the memory of a replica) or `replicated:N`. Exits with 6 if the server takes it and does not
    /// confirm that in time.
    #[arg(long, value_name = "MODE", default_value_t)]
    durability: Durability,
    /// Waits so long for that.
    #[arg(long, value_name = "DURATION", value_parser = backoff::duration, default_value = "3s")]
    proof_timeout: Duration,
}

fn header(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "it takes NAME=VALUE".to_owned())
}

/// Where payloads come from.
enum Source {
    Text(String),
    Stdin,
    File(PathBuf),
}

impl PushArgs {
    fn source(&self) -> Source {
        match self.payload.as_deref() {
            None | Some("-") => Source::Stdin,
            Some(text) => match text.strip_prefix('@') {
                Some(path) => Source::File(path.into()),
                None => Source::Text(text.to_owned()),
            },
        }
    }

    fn message(&self, payload: Vec<u8>, line: u64) -> Message<Raw> {
        let mut message = Message::new(Raw(payload));
        if let Some(delay) = self.delay {
            message = message.delay(delay);
        }
        if let Some(at) = self.at {
            message = message.at(SystemTime::from(at));
        }
        if let Some(key) = &self.key {
            message = message.key(if self.lines {
                key.replace("{line}", &line.to_string())
            } else {
                key.clone()
            });
        }
        if let Some(max_attempts) = self.max_attempts {
            message = message.retry(Retry::max_attempts(max_attempts));
        }
        if let Some(backoff) = &self.backoff {
            message = message.retry(backoff.clone());
        }
        if let Some(id) = self.id {
            message = message.id(id);
        }
        if let Some(kind) = &self.kind {
            message = message.kind(kind);
        }
        for (name, value) in &self.headers {
            message = message.header(name, value);
        }
        message
    }
}

pub(crate) async fn run(global: &Global, args: PushArgs) -> Result<Exit> {
    if args.lines && args.key.as_ref().is_some_and(|key| !key.contains("{line}")) {
        let hint = "with --lines the key needs {line}, or all lines but the first are duplicates";
        return Err(fail(Exit::Usage, hint));
    }
    let source = args.source();
    if args.lines && matches!(source, Source::Text(_)) {
        let hint = "--lines reads stdin or @FILE, and takes no text";
        return Err(fail(Exit::Usage, hint));
    }
    // A file that cannot be read is told before any server is started.
    let input: Box<dyn AsyncRead + Unpin + Send> = match source {
        Source::Text(text) => Box::new(std::io::Cursor::new(text.into_bytes())),
        Source::Stdin => Box::new(tokio::io::stdin()),
        Source::File(path) => {
            let opened = File::open(&path).await;
            Box::new(opened.with_context(|| path.display().to_string())?)
        }
    };
    let session = Session::open(global).await?;
    let policy = Policy::default().durability(args.durability).proof_timeout(args.proof_timeout);
    let queue = session.queue_under(&args.queue, policy)?;
    if args.lines {
        many::run(&session, &queue, &args, input).await
    } else {
        push_one(&session, &queue, &args, input).await
    }
}

/// This program ends soon, so no later push of it will write the queue down.
async fn register(queue: &Queue<Raw>) {
    if let Err(error) = queue.register().await {
        tracing::warn!(queue = %queue.name(), %error, "pushed, but `queue ls` may not list the queue");
    }
}

async fn push_one(
    session: &Session,
    queue: &Queue<Raw>,
    args: &PushArgs,
    input: impl AsyncRead + Unpin,
) -> Result<Exit> {
    let mut payload = Vec::new();
    // One byte more than is allowed, so that the library refuses it.
    let most = DEFAULT_PAYLOAD_LIMIT as u64 + 1;
    input.take(most).read_to_end(&mut payload).await?;
    let pushed = queue.push(args.message(payload, 1)).await?;
    let (name, id, state) = (queue.name().as_str(), pushed.id(), pushed.state().as_str());
    let duplicate = matches!(pushed, Pushed::Duplicate { .. });
    let mut json = json!({"queue": name, "id": id, "state": state, "duplicate": duplicate});
    if let Pushed::Unproven { confirmed, .. } = pushed {
        json["proven"] = false.into();
        json["confirmed"] = confirmed.into();
    }
    session.out.one(&json, || {
        if duplicate { format!("{id} lives already: {state}") } else { format!("{id} {state}") }
    })?;
    register(queue).await;
    if let Pushed::Unproven { confirmed, .. } = pushed {
        return Err(fail(
            Exit::Unproven,
            format!(
                "accepted, not proven {}: {confirmed} confirmed it within {:?}. It will be delivered; do not push \
                 it anew. To ask again: the same command with --id {id}",
                args.durability, args.proof_timeout
            ),
        ));
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_needs_its_sign() {
        assert_eq!(header("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(header("a").is_err());
    }
}
