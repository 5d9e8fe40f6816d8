//! An engine in this process that does what a server does for queues: for tests, demonstrations and
//! a first look. In production use Redis or Valkey.
//!
//! It runs the same scripts, knows just the commands that they and this library use, and answers
//! them as a server would, over a Unix socket, a loopback port or a pipe within the process. One
//! thread owns everything, so that a script is as atomic here as it is there.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redeliver::Result<()> {
//! use redeliver::Server;
//! use redeliver::embedded::{Engine, Options};
//!
//! let engine = Engine::start(Options::default())?;
//! let queue = Server::embedded(&engine).queue::<String>("emails")?;
//! queue.push("hello".to_owned()).await?;
//! assert_eq!(queue.counts().await?.ready, 1);
//! # Ok(()) }
//! ```

mod calls;
mod commands;
mod db;
mod generic;
mod hashes;
mod info;
mod journal;
mod keyspace;
mod lists;
mod options;
mod reply;
mod request;
mod script;
mod serve;
mod session;
#[doc(hidden)]
pub mod simulation;
mod zset;
mod zsets;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::{Error, Result};
pub(crate) use db::Clock;
use db::Db;
use journal::Journal;
pub use options::Options;
use script::Scripts;
use serve::serve;
use session::Core;

/// What a pipe within the process holds while the other side is busy.
const PIPE: usize = 256 * 1024;

/// A running engine. Clones are the same engine; it ends when the last of them, and the last queue
/// on it, is dropped.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pipes: mpsc::UnboundedSender<DuplexStream>,
    /// What a pipe holds while the other side is busy, in bytes.
    width: usize,
    /// Closed when the thread has ended.
    ended: CancellationToken,
    stop: CancellationToken,
    _stopped_when_dropped: DropGuard,
}

impl Engine {
    /// Starts an engine on a thread of its own, and returns when it has read its file and listens.
    pub fn start(options: Options) -> Result<Self> {
        let failed = |error: io::Error| Error::Unavailable { reason: error.to_string() };
        let (pipes, arriving) = mpsc::unbounded_channel();
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let shared = Shared {
            pipes,
            width: PIPE,
            ended: ended.clone(),
            _stopped_when_dropped: stop.clone().drop_guard(),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new().name("redeliver-engine".into());
        thread
            .spawn(move || {
                let _ended = ended.drop_guard();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime.and_then(|runtime| Ok((setup(&runtime, &options, stop)?, runtime))) {
                    Ok(((core, listening), runtime)) => {
                        ready.send(Ok(())).ok();
                        let life = live(core, listening, arriving);
                        LocalSet::new().block_on(&runtime, life);
                    }
                    Err(error) => {
                        ready.send(Err(error)).ok();
                    }
                }
            })
            .map_err(failed)?;
        let died = || Err(io::Error::other("the engine's thread has died"));
        started.recv().unwrap_or_else(|_| died()).map_err(failed)?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A connection to the engine, without a socket.
    pub(crate) fn pipe(&self) -> io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(self.shared.width);
        let ended = || io::Error::new(io::ErrorKind::ConnectionRefused, "the engine has ended");
        self.shared.pipes.send(theirs).map_err(|_| ended())?;
        Ok(ours)
    }

    /// Ends the engine for all its clients, once its file is synced.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.ended.cancelled().await;
    }

    /// Resolves when the engine has ended, for which a client may have asked.
    pub async fn ended(&self) {
        self.shared.ended.cancelled().await;
    }
}

/// Where clients come from.
struct Listening {
    #[cfg(unix)]
    socket: Option<UnixListener>,
    port: Option<TcpListener>,
}

fn setup(
    runtime: &tokio::runtime::Runtime,
    options: &Options,
    stop: CancellationToken,
) -> io::Result<(Rc<Core>, Listening)> {
    let _within = runtime.enter();
    let mut db = Db::new(options.clone());
    if options.appendonly {
        db.journal = Some(Journal::open(&options.dir, &mut db)?);
    }
    let db = Rc::new(RefCell::new(db));
    let scripts =
        Scripts::new(Rc::clone(&db), None).map_err(|error| io::Error::other(error.to_string()))?;
    let listening = Listening {
        #[cfg(unix)]
        socket: socket(options)?,
        port: match options.port {
            0 => None,
            port => Some(runtime.block_on(TcpListener::bind(("127.0.0.1", port)))?),
        },
    };
    Ok((Rc::new(Core { db, scripts, sessions: Cell::new(0), stop }), listening))
}

#[cfg(unix)]
fn socket(options: &Options) -> io::Result<Option<UnixListener>> {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(path) = &options.socket else { return Ok(None) };
    // One that a killed engine has left; without one this fails, as it should.
    std::fs::remove_file(path).ok();
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(options.socket_mode))?;
    Ok(Some(listener))
}

/// Serves whoever comes, until it is told to stop.
async fn live(
    core: Rc<Core>,
    listening: Listening,
    mut arriving: mpsc::UnboundedReceiver<DuplexStream>,
) {
    spawn_local(Rc::clone(&core).keep_synced());
    let stop = core.stop.clone();
    #[cfg(unix)]
    if let Some(listener) = listening.socket {
        let next = async move || listener.accept().await.map(|(stream, _)| stream);
        spawn_local(accept(next, Rc::clone(&core)));
    }
    if let Some(listener) = listening.port {
        let quick = |(stream, _): (TcpStream, _)| stream.set_nodelay(true).map(|()| stream);
        let next = async move || listener.accept().await.and_then(quick);
        spawn_local(accept(next, Rc::clone(&core)));
    }
    let within = async {
        while let Some(stream) = arriving.recv().await {
            spawn_local(serve(stream, Rc::clone(&core)));
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = within => stop.cancelled().await,
    }
    core.sync().await;
}

async fn accept<S>(next: impl AsyncFn() -> io::Result<S>, core: Rc<Core>)
where
    S: AsyncRead + AsyncWrite + 'static,
{
    loop {
        match next().await {
            Ok(stream) => drop(spawn_local(serve(stream, Rc::clone(&core)))),
            // Too many open files, as a rule: it passes when others close theirs.
            Err(error) => {
                tracing::warn!(%error, "a client was not let in");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
