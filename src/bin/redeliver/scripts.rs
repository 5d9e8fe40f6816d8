//! `scripts`: the Lua that runs on the server.

use anyhow::Result;
use clap::{Args, Subcommand};
use redeliver::{ServerScript, scripts};
use serde::Serialize;
use std::io::Write as _;

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::output::{self, Output, Row};
use crate::server::Session;

/// `scripts`.
#[derive(Debug, Subcommand)]
pub(crate) enum ScriptsCommand {
    /// Lists the scripts with their SHA1 and what each is for.
    #[command(after_help = "Example:\n  redeliver scripts ls")]
    Ls,
    /// Writes the text of a script as it is sent to the server.
    #[command(after_help = "Example:\n  redeliver scripts cat claim")]
    Cat(NameArgs),
    /// Writes the SHA1 of a script, which `EVALSHA` takes.
    #[command(after_help = "Example:\n  redeliver scripts sha claim")]
    Sha(NameArgs),
    /// Says which scripts the server has in its cache.
    ///
    /// A missing one is no fault: it is loaded by its first call.
    #[command(after_help = "Example:\n  redeliver scripts check --url redis://127.0.0.1")]
    Check,
}

/// A script by its name.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The script's name.
    script: String,
}

#[derive(Debug, Serialize)]
struct Listed {
    script: &'static str,
    sha1: String,
    bytes: usize,
    purpose: &'static str,
}

impl Row for Listed {
    const HEADINGS: &'static [&'static str] = &["script", "sha1", "bytes", "purpose"];

    fn cells(&self) -> Vec<String> {
        let Self { script, sha1, bytes, purpose } = self;
        vec![(*script).to_owned(), sha1.clone(), bytes.to_string(), (*purpose).to_owned()]
    }
}

#[derive(Debug, Serialize)]
struct Checked {
    script: &'static str,
    sha1: String,
    cached: bool,
}

impl Row for Checked {
    const HEADINGS: &'static [&'static str] = &["script", "sha1", "cached"];

    fn cells(&self) -> Vec<String> {
        let cached = if self.cached { "yes" } else { "no" };
        vec![self.script.to_owned(), self.sha1.clone(), cached.to_owned()]
    }
}

pub(crate) async fn run(global: &Global, command: &ScriptsCommand) -> Result<Exit> {
    match command {
        ScriptsCommand::Ls => {
            let listed = scripts().map(|script| Listed {
                script: script.name(),
                sha1: script.sha1().to_owned(),
                bytes: script.text().len(),
                purpose: script.purpose(),
            });
            Output::new(global.output).list(&listed.collect::<Vec<_>>())?;
        }
        ScriptsCommand::Cat(args) => output::stdout().write_all(find(args)?.text().as_bytes())?,
        ScriptsCommand::Sha(args) => writeln!(output::stdout(), "{}", find(args)?.sha1())?,
        ScriptsCommand::Check => {
            let session = Session::open(global).await?;
            let cached = session.server.cached_scripts().await?;
            let checked = scripts().zip(cached).map(|(script, cached)| Checked {
                script: script.name(),
                sha1: script.sha1().to_owned(),
                cached,
            });
            session.out.list(&checked.collect::<Vec<_>>())?;
        }
    }
    Ok(Exit::Ok)
}

fn find(args: &NameArgs) -> Result<ServerScript> {
    scripts().find(|script| script.name() == args.script).ok_or_else(|| {
        let names: Vec<_> = scripts().map(ServerScript::name).collect();
        let told = format!("there is no script {}; there are {}", args.script, names.join(", "));
        fail(Exit::Usage, told)
    })
}
