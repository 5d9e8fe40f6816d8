//! Where global options come from: a flag, the environment, the configuration file or a default.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Subcommand, ValueEnum as _};
use etcetera::base_strategy::{BaseStrategy as _, Xdg};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::masked::masked;
use crate::output::{Format, Output, Row};

/// What the file may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: Option<String>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    password_file: Option<PathBuf>,
    prefix: Option<String>,
    data_dir: Option<PathBuf>,
    output: Option<Format>,
    quiet: Option<bool>,
    no_color: Option<bool>,
}

/// Where each option's value came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    file: Option<PathBuf>,
    of: Vec<(&'static str, Origin)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    Flag,
    Environment,
    File,
    Default,
}

impl Origin {
    fn word(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// Completes the options that neither a flag nor the environment gave, and says where each is from.
pub(crate) fn complete(global: &mut Global, matches: &ArgMatches) -> Result<()> {
    let (path, file) = read(global.config.as_deref())?;
    let mut origins = Origins { file: path, of: Vec::new() };
    let mut settle = |id: &'static str, in_file: bool| {
        let given = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Some(Origin::Flag),
            Some(ValueSource::EnvVariable) => Some(Origin::Environment),
            _ => None,
        };
        let otherwise = if in_file { Origin::File } else { Origin::Default };
        origins.of.push((id, given.unwrap_or(otherwise)));
        given.is_none() && in_file
    };
    if settle("url", file.url.is_some()) {
        global.url = file.url;
    }
    let access = &mut global.access;
    for (id, in_file, option) in [
        ("tls_ca", file.tls_ca, &mut access.tls_ca),
        ("tls_cert", file.tls_cert, &mut access.tls_cert),
        ("tls_key", file.tls_key, &mut access.tls_key),
        ("password_file", file.password_file, &mut access.password_file),
    ] {
        if settle(id, in_file.is_some()) {
            *option = in_file;
        }
    }
    settle("engine", false);
    if settle("prefix", file.prefix.is_some()) {
        global.prefix = file.prefix.unwrap_or_default();
    }
    if settle("data_dir", file.data_dir.is_some()) {
        global.data_dir = file.data_dir;
    }
    if settle("output", file.output.is_some()) {
        global.output = file.output;
    }
    if settle("quiet", file.quiet.is_some()) {
        global.quiet = file.quiet.unwrap_or_default();
    }
    if settle("no_color", file.no_color.is_some()) {
        global.no_color = file.no_color.unwrap_or_default();
    }
    global.origins = origins;
    Ok(())
}

/// The named file has to be there; that of the user need not.
fn read(named: Option<&Path>) -> Result<(Option<PathBuf>, Settings)> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => match Xdg::new() {
            Ok(xdg) => xdg.config_dir().join("redeliver").join("config.toml"),
            Err(_) => return Ok((None, Settings::default())),
        },
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            return Ok((None, Settings::default()));
        }
        Err(error) => return Err(fail(Exit::Usage, format!("{}: {error}", path.display()))),
    };
    // Its whole text would show the line, and with it what may be a password.
    let file = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        fail(Exit::Usage, format!("{}, line {line}: {}", path.display(), error.message()))
    })?;
    Ok((Some(path), file))
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows the global options as they hold.
    #[command(after_help = HELP)]
    Show(ShowArgs),
}

const HELP: &str = "\
A flag has precedence, then the environment, then the file, then the default. The file is
redeliver/config.toml in $XDG_CONFIG_HOME or ~/.config, or what --config names:
  url = \"rediss://mailer@10.0.0.1\"
  tls_ca = \"/etc/redeliver/ca.pem\"
  tls_cert = \"/etc/redeliver/mailer.pem\"
  tls_key = \"/etc/redeliver/mailer.key\"
  password_file = \"/run/secrets/redis\"
  prefix = \"rd\"
  data_dir = \"/var/lib/redeliver\"
  output = \"json\"
  quiet = true
  no_color = true

Examples:
  redeliver config show --origin
  redeliver config show --config ./staging.toml";

/// `config show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Says where each value came from.
    #[arg(long)]
    origin: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    option: &'static str,
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] = &["option", "value", "origin"];

    fn cells(&self) -> Vec<String> {
        let file =
            self.file.as_ref().map(|file| format!(" {}", file.display())).unwrap_or_default();
        let origin = self.origin.map(|origin| format!("{}{file}", origin.word()));
        let value = match &self.value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let cells = [Some(self.option.to_owned()), value, origin];
        cells.map(Option::unwrap_or_default).to_vec()
    }
}

pub(crate) fn run(global: &Global, command: &ConfigCommand) -> Result<Exit> {
    let ConfigCommand::Show(args) = command;
    let shown = global.origins.of.iter().map(|(option, origin)| {
        let file = global.origins.file.clone().filter(|_| *origin == Origin::File);
        Shown {
            option,
            value: value(global, option),
            origin: args.origin.then_some(*origin),
            file: file.filter(|_| args.origin),
        }
    });
    Output::new(global.output).list(&shown.collect::<Vec<_>>())?;
    Ok(Exit::Ok)
}

/// A path that is no text is shown as well as it can be.
fn named(path: Option<&Path>) -> Value {
    path.map(|path| path.display().to_string()).into()
}

fn value(global: &Global, option: &str) -> Value {
    match option {
        "url" => global.url.as_deref().map(masked).into(),
        "tls_ca" => named(global.access.tls_ca.as_deref()),
        "tls_cert" => named(global.access.tls_cert.as_deref()),
        "tls_key" => named(global.access.tls_key.as_deref()),
        "password_file" => named(global.access.password_file.as_deref()),
        "engine" => {
            global.engine.to_possible_value().map(|engine| engine.get_name().to_owned()).into()
        }
        "prefix" => global.prefix.as_str().into(),
        "data_dir" => named(global.data_dir.as_deref()),
        "output" => global.output.map(Format::word).into(),
        "quiet" => global.quiet.into(),
        "no_color" => global.no_color().into(),
        _ => Value::Null,
    }
}
