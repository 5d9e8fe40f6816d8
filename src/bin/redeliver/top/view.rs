//! How `top` looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use redeliver::State;

use super::app::{App, MessageLine, Messages, QueueLine, Wanted};
use crate::output::{many, relative};

const QUEUE_KEYS: &str = "↑↓ choose  ⏎ messages  p pause or resume  q quit";
const MESSAGE_KEYS: &str = "↑↓ choose  ←→ state  PgUp/PgDn page  c cancel  r retry now  p pause or resume  Esc back  q quit";

pub(super) fn draw(frame: &mut Frame<'_>, app: &App) {
    let rows =
        [Constraint::Length(1), Constraint::Min(3), Constraint::Length(3), Constraint::Length(1)];
    let [head, body, facts, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(heading(app), head);
    match &app.wanted {
        Some(wanted) => messages(frame, body, app, wanted),
        None => queues(frame, body, app),
    }
    frame.render_widget(Paragraph::new(about(app)), facts);
    frame.render_widget(footer(app), foot);
}

impl App {
    /// The colour, where colours are wanted.
    fn color(&self, color: Color) -> Style {
        if self.colored { Style::new().fg(color) } else { Style::new() }
    }
}

fn heading(app: &App) -> Line<'_> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut spans =
        vec![Span::styled("redeliver top", bold), Span::raw(format!("  {}", app.address))];
    match (&app.wanted, &app.outage) {
        (_, Some(outage)) => {
            let style = app.color(Color::Red).add_modifier(Modifier::BOLD);
            spans.push(Span::styled(format!("  {outage}"), style));
        }
        (Some(wanted), None) => {
            spans.push(Span::styled(format!("  {}", wanted.queue), bold));
            for state in State::ALL {
                let chosen = state == wanted.state;
                let style =
                    if chosen { bold.add_modifier(Modifier::REVERSED) } else { Style::new() };
                spans.push(Span::raw("  "));
                spans.push(Span::styled(format!(" {state} "), style));
            }
        }
        (None, None) => {
            let count = many(app.queues.len() as u64, "queue");
            spans.push(Span::raw(format!("  {count}")));
        }
    }
    Line::from(spans)
}

fn queues(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let headings = [
        "QUEUE",
        "READY",
        "SCHEDULED",
        "PENDING",
        "DEAD",
        "PUSHED/S",
        "ACKED/S",
        "RETRIED/S",
        "DIED/S",
        "OLDEST",
        "LATE",
    ];
    let mut widths = vec![Constraint::Min(12)];
    widths.extend([9; 10].map(Constraint::Length));
    let rows = app.queues.iter().map(|line| queue_row(app, line));
    let table = Table::new(rows, widths)
        .header(Row::new(headings).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(app.at);
    frame.render_stateful_widget(table, area, &mut state);
}

fn queue_row(app: &App, line: &QueueLine) -> Row<'static> {
    let QueueLine { name, counts, rates, .. } = line;
    let sample = line.latest();
    let some = |number: u64, color| {
        let style = if number > 0 { app.color(color) } else { Style::new() };
        Cell::new(number.to_string()).style(style)
    };
    let rate = |rate: f64| Cell::new(if rate > 0.0 { format!("{rate:.1}") } else { String::new() });
    let name = if line.fault.is_some() {
        Cell::new(format!("! {name}")).style(app.color(Color::Red))
    } else if counts.paused {
        // In front, where no narrow terminal cuts it off.
        Cell::new(format!("‖ {name}")).style(app.color(Color::Yellow))
    } else {
        Cell::new(name.to_string())
    };
    Row::new([
        name,
        some(counts.ready, Color::Green),
        some(counts.scheduled, Color::Blue),
        some(counts.pending, Color::Cyan),
        some(counts.dead, Color::Red),
        rate(rates.pushed),
        rate(rates.acked),
        rate(rates.retried),
        rate(rates.died),
        Cell::new(span(sample.wait_ms)),
        Cell::new(span(sample.late_ms)).style(app.color(Color::Red)),
    ])
}

/// How long; nothing for zero.
fn span(ms: u64) -> String {
    let ago = relative(ms, 0);
    if ms == 0 { String::new() } else { ago.trim_end_matches(" ago").to_owned() }
}

fn messages(frame: &mut Frame<'_>, area: Rect, app: &App, wanted: &Wanted) {
    let Some(Messages { lines, .. }) = &app.messages else {
        frame.render_widget(Paragraph::new("reading…"), area);
        return;
    };
    if lines.is_empty() {
        frame.render_widget(Paragraph::new(format!("nothing is {}", wanted.state)), area);
        return;
    }
    let now_ms = app.queue().map_or(0, |line| line.counts.now_ms);
    let widths = [
        Constraint::Length(26),
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    let rows = lines.iter().map(|line| message_row(line, now_ms));
    let headings = ["ID", "WHEN", "ATTEMPT", "FAILURES", "PAYLOAD", "LAST ERROR"];
    let table = Table::new(rows, widths)
        .header(Row::new(headings).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(app.line);
    frame.render_stateful_widget(table, area, &mut state);
}

fn message_row(line: &MessageLine, now_ms: u64) -> Row<'static> {
    let when = line.at_ms.map(|at_ms| relative(now_ms, at_ms));
    Row::new([
        line.id.to_string(),
        when.unwrap_or_default(),
        line.attempt.to_string(),
        line.failures.to_string(),
        line.payload.clone(),
        line.error.clone(),
    ])
}

/// What the chosen queue has behind it, and ahead.
fn about(app: &App) -> Vec<Line<'static>> {
    let Some(QueueLine { name, counts, fault, .. }) = app.queue() else {
        let why = if app.looked { "no queue was pushed to yet" } else { "looking…" };
        return vec![Line::raw(""), Line::raw(why)];
    };
    if let Some(fault) = fault {
        return vec![Line::raw(""), Line::raw(format!("{name}: cannot be read: {fault}"))];
    }
    let when = |at_ms: Option<u64>| {
        at_ms.map_or_else(|| "none".to_owned(), |at_ms| relative(counts.now_ms, at_ms))
    };
    let paused = if counts.paused { "paused, " } else { "" };
    let past = format!(
        "{name}: {paused}{} pushed, {} acked, {} retried, {} reclaimed, {} redriven",
        counts.pushed, counts.acked, counts.retried, counts.reclaimed, counts.redriven
    );
    let mut next = format!(
        "next due {}, next deadline {}",
        when(counts.next_due_ms),
        when(counts.next_deadline_ms)
    );
    let of_it = app.messages.as_ref().filter(|messages| messages.wanted.queue == *name);
    if let Some(Messages { forecast, .. }) = of_it {
        let total = |upto: &[u64]| upto.last().copied().unwrap_or(0);
        let (due, leases) = (total(&forecast.scheduled), total(&forecast.pending));
        next = format!("{next}; within a minute {due} fall due and {leases} leases end");
    }
    vec![Line::raw(""), Line::raw(past), Line::raw(next)]
}

fn footer(app: &App) -> Line<'_> {
    if let Some(act) = &app.asked {
        let style = app.color(Color::Yellow).add_modifier(Modifier::BOLD);
        return Line::styled(format!("{}  y = yes, any other key = no", act.question()), style);
    }
    if !app.told.is_empty() {
        return Line::raw(app.told.as_str());
    }
    Line::raw(if app.wanted.is_some() { MESSAGE_KEYS } else { QUEUE_KEYS })
}
