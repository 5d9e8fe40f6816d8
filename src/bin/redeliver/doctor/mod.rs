//! `doctor`: whether a server is fit for queues, and a user for its role.

mod durability;
mod finding;
mod probe;
mod queue;
mod rights;
mod server;

use anyhow::Result;
use clap::Args;
use redeliver::{QueueName, Server};

use crate::acl::Role;
use crate::args::Global;
use crate::exit_code::Exit;
use crate::server::Session;
use finding::{Finding, Severity};
pub(crate) use probe::Probe;

const EXAMPLES: &str = "\
Examples:
  redeliver doctor --url redis://host
  redeliver doctor emails --role worker -o json";

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// The queue's name; without one, all queues.
    queue: Option<QueueName>,
    /// What the user is for.
    #[arg(long, value_enum, default_value_t = Role::Operator)]
    role: Role,
}

pub(crate) async fn run(global: &Global, args: &DoctorArgs) -> Result<Exit> {
    let session = Session::open(global).await?;
    let mut found = Vec::new();
    let urls = session.server.urls().await?;
    for url in &urls {
        let here = server::check(&Probe::connect(url, &session.access).await?).await?;
        let address = Server::open_with(url, &session.access.access())?.address();
        let several = urls.len() > 1;
        found.extend(here.into_iter().map(|it| if several { it.at(&address) } else { it }));
    }
    found.extend(rights::check(&session, &global.prefix, args.role.into()).await?);
    let queues = match &args.queue {
        Some(queue) => vec![queue.clone()],
        // The list is best effort, and not every role may read it.
        None => session.server.queues().await.unwrap_or_default(),
    };
    for name in &queues {
        found.extend(queue::check(&session, name).await?);
    }
    session.out.one(&found, || {
        let lines: Vec<_> = found.iter().map(Finding::in_words).collect();
        lines.join("\n")
    })?;
    let failed = found.iter().any(|finding| finding.severity == Severity::Fail);
    Ok(if failed { Exit::Failure } else { Exit::Ok })
}
