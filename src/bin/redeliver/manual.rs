//! `completions` and `man`: what shells and `man` read.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::args::Cli;
use crate::exit_code::Exit;
use crate::output::{many, note, stdout};

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  redeliver completions bash > ~/.local/share/bash-completion/completions/redeliver
  redeliver completions fish > ~/.config/fish/completions/redeliver.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// `man`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  redeliver man | man -l -\n  redeliver man ~/.local/share/man/man1"
)]
pub(crate) struct ManArgs {
    /// Writes one page for each command into this directory; without it, the first page to stdout.
    dir: Option<PathBuf>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit> {
    // Into a buffer first: the generator takes no error of a closed pipe.
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "redeliver", &mut script);
    stdout().write_all(&script)?;
    Ok(Exit::Ok)
}

pub(crate) fn man(args: &ManArgs) -> Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        stdout().write_all(&page)?;
        return Ok(Exit::Ok);
    };
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut pages = vec![("redeliver".to_owned(), command)];
    let mut written = 0;
    while let Some((name, command)) = pages.pop() {
        for inner in command.get_subcommands() {
            if !inner.is_hide_set() && inner.get_name() != "help" {
                pages.push((format!("{name}-{}", inner.get_name()), inner.clone()));
            }
        }
        let mut page = Vec::new();
        Man::new(command).title(name.clone()).render(&mut page)?;
        let path = dir.join(format!("{name}.1"));
        fs::write(&path, page).with_context(|| path.display().to_string())?;
        written += 1;
    }
    note(&format!("{} written to {}", many(written, "page"), dir.display()));
    Ok(Exit::Ok)
}
