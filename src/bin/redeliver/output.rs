//! The one place that writes to stdout and stderr.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::{Table, presets};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// Cells of a bar.
const WIDTH: u64 = 24;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people, with relative times.
    Table,
    /// One pretty document.
    Json,
    /// One JSON object on each line.
    Ndjson,
}

impl Format {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }
}

/// One row of a result: a row of cells in a table, an object in JSON.
pub(crate) trait Row: Serialize {
    const HEADINGS: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
}

/// Writes results to stdout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Option<Format>) -> Self {
        let default = if io::stdout().is_terminal() { Format::Table } else { Format::Ndjson };
        Self { format: format.unwrap_or(default) }
    }

    /// Clears a terminal for the next table; what is piped just goes on.
    pub(crate) fn redraw(self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.format == Format::Table && stdout.is_terminal() {
            stdout.write_all(b"\x1b[H\x1b[2J")?;
        }
        Ok(())
    }

    /// Writes one thing: `text` for people, or the object.
    pub(crate) fn one(
        self,
        json: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => line(&text()),
            Format::Json => line(&serde_json::to_string_pretty(json)?),
            Format::Ndjson => line(&serde_json::to_string(json)?),
        }
    }

    /// Writes what goes on for ever: a line for each row, whatever the format.
    pub(crate) fn stream<R: Row>(self, rows: &[R]) -> io::Result<()> {
        match self.format {
            Format::Table => rows.iter().try_for_each(|row| line(&row.cells().join("  "))),
            Format::Json | Format::Ndjson => Self { format: Format::Ndjson }.list(rows),
        }
    }

    /// Writes a list, as a whole.
    pub(crate) fn list<R: Row>(self, rows: &[R]) -> io::Result<()> {
        match self.format {
            Format::Table => {
                let cells: Vec<_> = rows.iter().map(Row::cells).collect();
                line(&table(R::HEADINGS, &cells))
            }
            Format::Json => line(&serde_json::to_string_pretty(rows)?),
            Format::Ndjson => rows.iter().try_for_each(|row| line(&serde_json::to_string(row)?)),
        }
    }
}

/// A table without lines, so that its cells can be cut and searched.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !headings.is_empty() {
        table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    }
    table.add_rows(rows);
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Where bytes go that are results as they are.
pub(crate) fn stdout() -> io::Stdout {
    io::stdout()
}

fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Writes one line about what goes on to stderr.
pub(crate) fn note(text: &str) {
    // Nobody can be told when stderr is gone.
    let _gone = writeln!(io::stderr().lock(), "redeliver: {text}");
}

/// Writes one line to stderr as it is.
pub(crate) fn tell(text: &str) {
    let _gone = writeln!(io::stderr().lock(), "{text}");
}

/// Says why the program fails, with all causes on one line.
pub(crate) fn complain(error: &anyhow::Error) {
    note(&format!("{error:#}"));
}

/// Sends logs to stderr.
pub(crate) fn trace(verbose: u8, colored: bool) {
    let level = match verbose {
        0 => "warn,redeliver::audit=info",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colored && io::stderr().is_terminal())
        .init();
}

/// A counter on stderr, with a bar from when the length is set; hidden when stderr is no terminal.
pub(crate) fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length().with_message(what);
    let template = "{spinner} {human_pos}{of} {msg} in {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("of", |state: &ProgressState, line: &mut dyn fmt::Write| {
            let Some(length) = state.len() else { return };
            let done = WIDTH * state.pos().min(length) / length.max(1);
            let bar: String = (0..WIDTH).map(|at| if at < done { '━' } else { '─' }).collect();
            // A string takes everything.
            let _written = write!(line, " of {} {bar}", HumanCount(length));
        }));
    }
    bar
}

/// A time as RFC 3339 in UTC; `None` when no calendar has it.
pub(crate) fn rfc3339(ms: u64) -> Option<String> {
    let ms = i64::try_from(ms).ok()?;
    Some(Timestamp::from_millisecond(ms).ok()?.to_string())
}

/// A time seen from now: `in 3.2 s`, `5 min ago`.
pub(crate) fn relative(now_ms: u64, at_ms: u64) -> String {
    let span = span(Duration::from_millis(now_ms.abs_diff(at_ms)));
    if at_ms > now_ms { format!("in {span}") } else { format!("{span} ago") }
}

/// How long, in one unit.
pub(crate) fn span(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{secs} s"),
        60..3_600 => format!("{} min", secs / 60),
        3_600..86_400 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// One and many: `1 message`, `2 messages`.
pub(crate) fn many(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_the_calendar_is_no_panic() {
        assert_eq!(rfc3339(1_500).as_deref(), Some("1970-01-01T00:00:01.5Z"));
        assert_eq!(rfc3339(u64::MAX), None);
        assert_eq!(rfc3339(9_000_000_000_000_000), None);
    }

    #[test]
    fn relative_times_name_their_direction() {
        assert_eq!(relative(0, 3_200), "in 3.2 s");
        assert_eq!(relative(300_000, 0), "5 min ago");
        assert_eq!(relative(7, 7), "0.0 s ago");
        assert_eq!(relative(0, 86_400_000 * 400), "in 400 d");
    }
}
