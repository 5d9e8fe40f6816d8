//! `acl`: the line that gives a user of the server the rights of its role.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::output::{Format, Output};

const HELP: &str = "\
The line names every command that the role needs, on the keys under --prefix, and takes all other
rights away. It keeps the user's passwords: a new user has none, so nobody can log in before
`ACL SETUSER NAME >PASSWORD`.

Examples:
  redeliver acl producer
  redeliver acl worker --user mailer | redis-cli
  redeliver acl reader --prefix rd2 -o json";

/// `acl`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct AclArgs {
    /// What the user is for.
    #[arg(value_enum)]
    role: Role,
    /// The user's name; `redeliver-ROLE` if not given.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// What a user of the server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Pushes, and nothing else.
    Producer,
    /// Claims, settles, extends, counts, and runs a poller.
    Worker,
    /// Does everything.
    Operator,
    /// Looks.
    #[value(alias = "reader")]
    ReadOnly,
}

impl From<Role> for redeliver::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Producer => Self::Producer,
            Role::Worker => Self::Worker,
            Role::Operator => Self::Operator,
            Role::ReadOnly => Self::ReadOnly,
        }
    }
}

/// A user and its rights.
#[derive(Debug, Serialize)]
struct Granted {
    user: String,
    role: &'static str,
    rules: Vec<String>,
    line: String,
}

pub(crate) fn run(global: &Global, args: AclArgs) -> Result<Exit> {
    let role = redeliver::Role::from(args.role);
    let user = args.user.unwrap_or_else(|| format!("redeliver-{role}"));
    // The server splits the line at blanks.
    if user.is_empty() || user.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(fail(Exit::Usage, "a user's name has one character at least, and no blanks"));
    }
    let rules: Vec<_> = ["on", "clearselectors", "resetkeys", "resetchannels"]
        .into_iter()
        .chain(role.rules(&global.prefix)?.split(' '))
        .map(str::to_owned)
        .collect();
    let line = format!("ACL SETUSER {user} {}", rules.join(" "));
    let granted = Granted { user, role: role.as_str(), rules, line };
    // A line for the server also when it goes into a pipe.
    let out = Output::new(global.output.or(Some(Format::Table)));
    out.one(&granted, || granted.line.clone())?;
    Ok(Exit::Ok)
}
