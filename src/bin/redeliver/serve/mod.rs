//! `serve`: pollers, health, metrics and the page, in one process.

mod act;
mod app;
mod assets;
mod audit;
mod exporter;
mod gate;
mod groups;
mod health;
mod history;
mod login;
mod look;
mod memory;
mod pulse;
mod redrives;
mod reply;
mod routes;
mod tasks;
mod ticker;
mod view;
mod watchdog;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::serve::ListenerExt as _;
use clap::Args;
use redeliver::QueueName;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::app::App;
use self::audit::Audit;
use self::gate::{Gate, MIN_TOKEN};
use self::memory::Memory;
use self::tasks::Tasks;
use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::output::note;
use crate::retention::RetentionArgs;
use crate::server::Session;
use crate::signals::Signals;

const TOKEN_VARIABLE: &str = "REDELIVER_TOKEN";
/// A download that is under way must not keep the process from ending.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  redeliver serve
  redeliver serve emails orders --listen 127.0.0.1:9000 --read-only
  redeliver serve --listen 0.0.0.0:7878 --token-file token --host queues.example.org")]
pub(crate) struct ServeArgs {
    /// The queues' names; without any, all that were ever pushed to, found again as they appear.
    #[arg(value_name = "QUEUE")]
    queues: Vec<QueueName>,
    /// Listens here; any address but a loopback one needs a token.
    #[arg(long, default_value = "127.0.0.1:7878", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Asks everybody for the token in this file, or in `REDELIVER_TOKEN`: at least 16 characters.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Answers under this name too, besides localhost and addresses; may be repeated.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Only looks: refuses every action on the page. Pollers run all the same, but trim nothing.
    #[arg(long, conflicts_with_all = ["dead_retention", "dead_max"])]
    read_only: bool,
    /// Runs no pollers.
    #[arg(long)]
    no_poller: bool,
    #[command(flatten)]
    retention: RetentionArgs,
    /// Appends each action to this file, besides stderr.
    #[arg(long, value_name = "FILE")]
    audit_file: Option<PathBuf>,
    /// Raises the alarm when something is due and nothing moves for so long.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    stalled_after: Duration,
}

pub(crate) async fn run(global: &Global, args: ServeArgs) -> Result<Exit> {
    let token = token(args.token_file.as_deref())?;
    if token.is_none() && !args.listen.ip().is_loopback() {
        let listen = args.listen;
        let hint = format!(
            "refused: {listen} can be reached from elsewhere; give a token with --token-file or \
             {TOKEN_VARIABLE}, or listen on 127.0.0.1"
        );
        return Err(fail(Exit::Refused, hint));
    }
    let audit = Audit::open(args.audit_file.as_deref())?;
    let metrics = exporter::install()?;
    let session = Session::open(global).await?;
    let mut signals = Signals::catch()?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let app = Arc::new(App {
        server: session.server.clone(),
        gate: Gate::new(token, args.host, args.read_only),
        audit,
        tasks: Tasks::default(),
        metrics,
        stalled_after: args.stalled_after,
        named: args.queues,
        polls: !args.no_poller,
        retention: if args.read_only { RetentionArgs::KEEP_ALL } else { args.retention },
        queues: std::sync::RwLock::default(),
        ticks: watch::Sender::new("".into()),
        wake: Notify::new(),
        outage: Mutex::default(),
        stop: CancellationToken::new(),
        pollers: TaskTracker::new(),
    });
    if !global.quiet {
        note(&format!("serving http://{address}"));
    }
    let memory = Memory::new(session.server.clone(), session.access.clone());
    serve(&app, memory, listener, &mut signals).await?;
    app.pollers.close();
    app.pollers.wait().await;
    drop(app);
    session.leave().await?;
    Ok(Exit::Ok)
}

async fn serve(
    app: &Arc<App>,
    memory: Memory,
    listener: TcpListener,
    signals: &mut Signals,
) -> Result<()> {
    let ticker = tokio::spawn(ticker::run(Arc::clone(app), memory));
    let listener = listener.tap_io(|stream| {
        // Without it a small answer may wait for an acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may be slow");
        }
    });
    let service = routes::router(Arc::clone(app));
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let stopped = app.stop.clone().cancelled_owned();
    let mut server =
        tokio::spawn(axum::serve(listener, service).with_graceful_shutdown(stopped).into_future());
    tokio::select! {
        () = signals.next() => {}
        ended = &mut server => ended??,
    }
    app.stop.cancel();
    if timeout(LEAVE_WITHIN, &mut server).await.is_err() {
        server.abort();
    }
    ticker.await?;
    Ok(())
}

/// The token of the file, or else of the environment.
fn token(file: Option<&Path>) -> Result<Option<String>> {
    let given = match file {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            Some(read.with_context(|| format!("the token file {}", path.display()))?)
        }
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    let Some(token) = given.map(|token| token.trim().to_owned()).filter(|it| !it.is_empty()) else {
        return match file {
            Some(path) => Err(fail(Exit::Usage, format!("{} holds no token", path.display()))),
            None => Ok(None),
        };
    };
    if token.len() < MIN_TOKEN || !token.is_ascii() {
        let hint = format!("the token is refused: it takes {MIN_TOKEN} ASCII characters or more");
        return Err(fail(Exit::Usage, hint));
    }
    Ok(Some(token))
}
