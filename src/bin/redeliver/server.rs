//! The server that a command talks to: the given one, or a private one, or the embedded engine.

use anyhow::Result;
use redeliver::{Error, Policy, Queue, QueueName, Raw, Server};

use crate::access::AccessArgs;
use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::output::{self, Output};
use crate::private::Private;

/// A connection, and what belongs to it for the time of one command.
pub(crate) struct Session {
    pub(crate) server: Server,
    /// For child processes; it may hold a password, so it is never shown.
    pub(crate) url: String,
    pub(crate) access: AccessArgs,
    pub(crate) out: Output,
    /// The private server lives for as long as this does.
    private: Option<Private>,
}

impl Session {
    pub(crate) async fn open(global: &Global) -> Result<Self> {
        let mut access = global.access.clone();
        let (url, private) = if let Some(url) = global.url()? {
            access.check().map_err(|told| fail(Exit::Usage, told))?;
            (url.to_owned(), None)
        } else {
            access = AccessArgs::default();
            let private = Private::share(global.data_dir.as_deref(), global.engine).await?;
            if !global.quiet {
                output::note(&private.to_string());
            }
            (private.url(), Some(private))
        };
        Ok(Self {
            server: connect(&url, &access).await?.with_prefix(&global.prefix)?,
            out: Output::new(global.output),
            url,
            access,
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
async fn connect(url: &str, access: &AccessArgs) -> Result<Server> {
    // The URL may hold a password; the address does not.
    let address = Server::open_with(url, &access.access())?.address();
    Server::connect_with(url, &access.access()).await.map_err(|error| {
        let hint = match error {
            Error::Denied { .. } => "check the user, and the password or --password-file",
            _ => "check --url and REDELIVER_URL",
        };
        fail(Exit::Unreachable, format!("cannot use the server at {address} ({hint}): {error}"))
    })
}
