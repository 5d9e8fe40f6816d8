//! A server of our own, shared by all processes with the same data directory.
//!
//! Two files in the directory make that safe however a process ends:
//!
//! - `lock` is locked by the supervisor (a shell) and by the server itself. Whoever gets the lock
//!   knows that neither lives, and starts them.
//! - `alive` is a FIFO that every process holds open. The supervisor reads it, and takes the server
//!   down at its end of file, which comes when the last holder is gone, even by SIGKILL. Each holder
//!   writes a token; that a file of this name shows up in `held` proves that the supervisor was still
//!   reading when the holder came, and so stays.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use etcetera::base_strategy::{BaseStrategy as _, Xdg};
use redeliver::{MessageId, Raw, Server};
use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};

use crate::engine::NOT_FOR_PRODUCTION;
use crate::exit_code::{Exit, fail};

/// Reading a long append-only file takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);
/// A server that waits for its disk, as it may while it rewrites its file, answers late.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
const RECHECK: Duration = Duration::from_millis(10);
/// A token may have gone to a supervisor that was just ending.
const TOKEN_AGAIN: Duration = Duration::from_millis(500);
/// A server that ends this often at its start will not come up.
const MAX_STARTS: u32 = 3;
/// Everything here works without a PATH.
const SHELL: &str = "/bin/sh";
const EMBEDDED: &str = "embedded";
/// Unix sockets take 104 to 108 bytes of path.
const MAX_SOCKET_PATH: usize = 100;
const LOG_SHOWN: usize = 800;
/// What the server logs when its file ended within a command or a transaction.
const CUT: &str = "loaded anyway because aof-load-truncated is enabled";

/// `$0` is the directory, `$1` the socket, the rest is the server's command. Descriptor 9 is the
/// locked file: it has to stay open in everything that is started here.
const SUPERVISOR: &str = r#"
socket=$1; shift
exec 9<&0 </dev/null
"$@" & server=$!
{
  while read -r token; do true >"$0/held/$token"; done <"$0/alive"
  kill -TERM "$server"
} &
wait "$server"
command -p rm -f "$socket"
kill -KILL 0
"#;

/// A hold on the private server.
#[derive(Debug)]
pub(crate) struct Private {
    engine: Engine,
    dir: PathBuf,
    socket: PathBuf,
    /// Written to while waiting; afterwards only held.
    alive: File,
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Engine { version, .. } = &self.engine;
        let (title, dir) = (self.engine.title(), self.dir.display());
        write!(
            f,
            "private {title} {version}, data in {dir}, append-only file synced every second"
        )?;
        if self.engine.is_embedded() {
            write!(f, "; {NOT_FOR_PRODUCTION} by --url")?;
        }
        Ok(())
    }
}

impl Private {
    /// Attaches to the private server, and starts it if it does not run.
    pub(crate) async fn share(data_dir: Option<&Path>, choice: EngineChoice) -> Result<Self> {
        let engine = Engine::find(choice)?;
        let prepared = Self::prepare(engine, data_dir);
        let mut private = prepared.context("the private server's data directory")?;
        private.join().await?;
        Ok(private)
    }

    pub(crate) fn url(&self) -> String {
        let path = self.socket.as_os_str().as_encoded_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(byte);
        let encoded = path.iter().map(|byte| {
            if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
        });
        format!("unix://{}", encoded.collect::<String>())
    }

    /// Lets go, and waits a while for the server to end; it does not while others hold it.
    pub(crate) async fn leave(self) -> io::Result<()> {
        let lock = self.dir.join("lock");
        drop(self.alive);
        let given_up = Instant::now() + LEAVE_PATIENCE;
        while try_lock(&lock)?.is_none() && Instant::now() < given_up {
            sleep(RECHECK).await;
        }
        Ok(())
    }

    fn prepare(engine: Engine, data_dir: Option<&Path>) -> Result<Self> {
        let base = match data_dir {
            Some(dir) => dir.to_owned(),
            None => {
                Xdg::new()?.state_dir().context("there is no state directory")?.join("redeliver")
            }
        };
        let dir = base.join(format!("{}-{}", engine.name, engine.major()));
        make_private(&dir.join("held"))?;
        let dir = dir.canonicalize()?;
        let socket = socket_path(&dir)?;
        let fifo = dir.join("alive");
        make_fifo(&fifo)?;
        // Open for both, it never blocks.
        let alive = OpenOptions::new().read(true).write(true).open(&fifo)?;
        Ok(Self { engine, dir, socket, alive })
    }

    /// Waits for a server that answers and that will not end under us.
    async fn join(&mut self) -> Result<()> {
        let token = format!("{}-{}", std::process::id(), MessageId::generate());
        let held = self.dir.join("held").join(&token);
        let given_up = Instant::now() + PATIENCE;
        let mut told = None::<Instant>;
        let mut starts = 0;
        loop {
            if told.is_none_or(|told| told.elapsed() > TOKEN_AGAIN) {
                self.alive.write_all(format!("{token}\n").as_bytes())?;
                told = Some(Instant::now());
            }
            if held.exists() && self.answers().await? {
                drop(fs::remove_file(held));
                return self.rewrite_cut_file().await;
            }
            if let Some(lock) = try_lock(&self.dir.join("lock"))? {
                if starts == MAX_STARTS {
                    return Err(self.failed("does not come up"));
                }
                self.start(lock).context("the private server")?;
                starts += 1;
            }
            if Instant::now() > given_up {
                return Err(self.failed("does not answer"));
            }
            sleep(RECHECK).await;
        }
    }

    /// A socket that accepts is not enough: scripts have to run, and the data has to be loaded.
    async fn answers(&self) -> Result<bool> {
        let server = match Server::connect(&self.url()).await {
            Ok(server) => server,
            Err(error) if error.is_transient() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let counts = server.queue::<Raw>("redeliver.ready")?.counts().await;
        match counts {
            Ok(_) => Ok(true),
            Err(error) if error.is_transient() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A power loss may cut the file within a transaction. The server reads what is before it, and
    /// then writes behind what is left of it: at the next start that would come true after all, in
    /// part and together with what came later. So the file is written anew from the server's memory.
    async fn rewrite_cut_file(&self) -> Result<()> {
        if !fs::read_to_string(self.dir.join("server.log"))?.contains(CUT) {
            return Ok(());
        }
        let client = redis::Client::open(self.url())?;
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_PATIENCE))
            .set_response_timeout(Some(ANSWER_PATIENCE));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let given_up = Instant::now() + PATIENCE;
        while Instant::now() < given_up {
            let ask = redis::cmd("INFO").arg("persistence").take();
            let told: String = match ask.query_async(&mut connection).await {
                Err(error) if error.is_timeout() => continue,
                told => told?,
            };
            let says = |line| told.lines().any(|told| told == line);
            if says("aof_rewrites:0") || says("aof_last_bgrewrite_status:err") {
                // Another process may be faster, or the server too busy: the next look tells.
                drop(redis::cmd("BGREWRITEAOF").exec_async(&mut connection).await);
            } else if says("aof_rewrite_in_progress:0") && says("aof_rewrite_scheduled:0") {
                return Ok(());
            }
            sleep(RECHECK).await;
        }
        Err(self.failed("cannot rewrite its append-only file, which was cut"))
    }

    /// Starts the supervisor in a process group of its own, so that Ctrl-C does not reach it. The
    /// locked file is its stdin: the lock lasts until the last process that inherited it has ended.
    fn start(&self, lock: File) -> io::Result<()> {
        // Files that killed holders left behind.
        let held = self.dir.join("held");
        fs::remove_dir_all(&held)?;
        make_private(&held)?;
        let log = File::create(self.dir.join("server.log"))?;
        let mut command = tokio::process::Command::new(SHELL);
        command.arg("-c").arg(SUPERVISOR).arg(&self.dir).arg(&self.socket);
        command.arg(&self.engine.program).args(self.engine.arguments);
        command.args(["--port", "0", "--unixsocket"]);
        command.arg(&self.socket).args(["--unixsocketperm", "700", "--dir"]);
        command.arg(&self.dir).args(["--appendonly", "yes", "--appendfsync", "everysec"]);
        command.args(["--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"]);
        command.stdin(lock).stdout(log.try_clone()?).stderr(log);
        command.current_dir(&self.dir).process_group(0).spawn()?;
        Ok(())
    }

    fn failed(&self, how: &str) -> anyhow::Error {
        let path = self.dir.join("server.log");
        let log = fs::read_to_string(&path).unwrap_or_default();
        let shown = log.char_indices().rev().nth(LOG_SHOWN).map_or(0, |(at, _)| at);
        let message = format!(
            "the private {} {how}; {} ends with:\n{}",
            self.engine.title(),
            path.display(),
            log[shown..].trim()
        );
        fail(Exit::Unreachable, message)
    }
}

/// What runs the queues of commands that name no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum EngineChoice {
    /// A server that is installed, or else the embedded engine.
    #[default]
    Auto,
    /// `valkey-server` or `redis-server` from the PATH.
    Server,
    /// The engine that this program carries.
    Embedded,
}

/// The server program that was found.
#[derive(Debug)]
struct Engine {
    program: PathBuf,
    /// What stands before the settings on its command line.
    arguments: &'static [&'static str],
    /// `valkey`, `redis` or `embedded`: what it says it is, whatever its file is called.
    name: &'static str,
    version: String,
}

impl Engine {
    fn find(choice: EngineChoice) -> Result<Self> {
        let installed = ["valkey-server", "redis-server"]
            .into_iter()
            .filter(|_| choice != EngineChoice::Embedded)
            .find_map(|name| which::which(name).ok());
        if installed.is_none() && choice != EngineChoice::Server {
            return Ok(Self {
                program: std::env::current_exe()?,
                arguments: &["engine"],
                name: EMBEDDED,
                version: env!("CARGO_PKG_VERSION").into(),
            });
        }
        let program = installed.ok_or_else(|| {
            let hint = "there is neither valkey-server nor redis-server on the PATH: install one \
                (Debian: apt-get install -y redis-server, macOS: brew install valkey), \
                or name a server with --url";
            fail(Exit::Unreachable, hint)
        })?;
        let told = Command::new(&program).arg("--version").output()?.stdout;
        let told = String::from_utf8_lossy(&told);
        let version = told.split_whitespace().find_map(|word| word.strip_prefix("v="));
        let name = if told.starts_with("Valkey") { "valkey" } else { "redis" };
        let version = version.unwrap_or("0").to_owned();
        Ok(Self { program, arguments: &[], name, version })
    }

    fn is_embedded(&self) -> bool {
        self.name == EMBEDDED
    }

    fn title(&self) -> String {
        if self.is_embedded() { "embedded engine".into() } else { format!("{}-server", self.name) }
    }

    fn major(&self) -> &str {
        self.version.split('.').next().unwrap_or_default()
    }
}

/// The lock, if neither a supervisor nor a server has it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).read(true).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Another process may make it at the same moment.
fn make_fifo(path: &Path) -> Result<()> {
    let is_fifo = || path.metadata().is_ok_and(|found| found.file_type().is_fifo());
    if is_fifo() {
        return Ok(());
    }
    let mut shell = Command::new(SHELL);
    shell.args(["-c", "command -p mkfifo \"$0\""]).arg(path).stderr(Stdio::null());
    let made = shell.status()?;
    anyhow::ensure!(made.success() || is_fifo(), "{} cannot be made", path.display());
    Ok(())
}

/// In the data directory, or where that is too deep, in a short directory that only we may enter.
fn socket_path(dir: &Path) -> Result<PathBuf> {
    let beside = dir.join("s");
    if beside.as_os_str().len() < MAX_SOCKET_PATH {
        return Ok(beside);
    }
    let hash = sha1_smol::Sha1::from(dir.as_os_str().as_encoded_bytes()).digest().to_string();
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let short = base.join(format!("redeliver-{}", &hash[..12]));
    make_private(&short)?;
    let found = fs::symlink_metadata(&short)?;
    let ours =
        found.is_dir() && found.uid() == dir.metadata()?.uid() && found.mode() & 0o777 == 0o700;
    anyhow::ensure!(ours, "{} belongs to somebody else", short.display());
    Ok(short.join("s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_data_directory_gets_a_short_socket_path() {
        let temp = tempfile::tempdir().unwrap();
        let deep = temp.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let socket = socket_path(&deep).unwrap();
        assert!(socket.as_os_str().len() < MAX_SOCKET_PATH);
        assert_eq!(socket, socket_path(&deep).unwrap(), "it is found again");
        fs::remove_dir(socket.parent().unwrap()).unwrap();
        assert_eq!(socket_path(temp.path()).unwrap(), temp.path().join("s"));
    }
}
