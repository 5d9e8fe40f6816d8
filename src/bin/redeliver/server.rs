//! The server that a command talks to: the given one, or a private one, or the embedded engine.

use anyhow::Result;
use redeliver::{Policy, Queue, QueueName, Raw, Server};

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::output::{self, Output};
use crate::private::Private;

/// A connection, and what belongs to it for the time of one command.
pub(crate) struct Session {
    pub(crate) server: Server,
    /// For child processes; it may hold a password, so it is never shown.
    pub(crate) url: String,
    pub(crate) out: Output,
    /// The private server lives for as long as this does.
    private: Option<Private>,
}

impl Session {
    pub(crate) async fn open(global: &Global) -> Result<Self> {
        let (url, private) = if let Some(url) = global.url() {
            (url.to_owned(), None)
        } else {
            let private = Private::share(global.data_dir.as_deref(), global.engine).await?;
            if !global.quiet {
                output::note(&private.to_string());
            }
            (private.url(), Some(private))
        };
        Ok(Self {
            server: connect(&url).await?.with_prefix(&global.prefix)?,
            out: Output::new(global.output),
            url,
            private,
        })
    }

    /// A queue of any bytes, under the default policy.
    pub(crate) fn queue(&self, name: &QueueName) -> Result<Queue<Raw>> {
        self.queue_under(name, Policy::default())
    }

    pub(crate) fn queue_under(&self, name: &QueueName, policy: Policy) -> Result<Queue<Raw>> {
        let queue = self.server.queue::<Raw>(name.as_str())?;
        Ok(queue.with_policy(policy)?)
    }

    /// Ends, and waits for the private server to end too, so that its directory can go.
    pub(crate) async fn leave(self) -> Result<()> {
        match self.private {
            Some(private) => Ok(private.leave().await?),
            None => Ok(()),
        }
    }
}

/// Connects once: a server that is not there now is told, not waited for.
pub(crate) async fn connect(url: &str) -> Result<Server> {
    // The URL may hold a password; the address does not.
    let address = Server::open(url)?.address();
    Server::connect(url).await.map_err(|error| {
        let hint = "check --url and REDELIVER_URL";
        fail(Exit::Unreachable, format!("cannot use the server at {address} ({hint}): {error}"))
    })
}
