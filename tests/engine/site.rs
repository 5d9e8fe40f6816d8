//! The engine by itself, reached as clients of other languages reach it.

use redeliver::embedded::{Engine, Options};
use redis::{Connection, cmd};

/// The engine on a socket of its own.
pub(crate) struct Site {
    _engine: Engine,
    dir: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let dir = tempfile::TempDir::with_prefix("rd-engine-").unwrap();
        let socket = dir.path().join("s");
        let options = Options::from_args(["--unixsocket", socket.to_str().unwrap()]).unwrap();
        Self { _engine: Engine::start(options).unwrap(), dir }
    }

    pub(crate) fn connect(&self) -> Connection {
        let url = format!("unix://{}", self.dir.path().join("s").display());
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    /// A thread that waits for one item; it returns when the engine knows of it.
    pub(crate) fn wait(&self, among: usize) -> std::thread::JoinHandle<Vec<String>> {
        let mut connection = self.connect();
        let waiter = std::thread::spawn(move || {
            cmd("BLPOP").arg("bell").arg(60).query(&mut connection).unwrap()
        });
        let mut looking = self.connect();
        let blocked = format!("blocked_clients:{among}\r\n");
        while !cmd("INFO").query::<String>(&mut looking).unwrap().contains(&blocked) {
            std::thread::yield_now();
        }
        waiter
    }
}
