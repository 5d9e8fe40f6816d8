//! What `top` shows, and what each key makes of it; nothing here touches a terminal or a server.

use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use redeliver::{Counts, Forecast, MessageId, QueueName, State};

use crate::rates::{Rates, Sample};

/// Samples that rates are taken from: some ten seconds.
const MAX_SAMPLES: usize = 10;
/// Messages of one page: more than a screen has lines.
pub(super) const PAGE: u32 = 100;

/// One queue as it was seen last.
#[derive(Debug)]
pub(super) struct QueueLine {
    pub(super) name: QueueName,
    pub(super) counts: Counts,
    pub(super) rates: Rates,
    /// Why it cannot be read.
    pub(super) fault: Option<String>,
    samples: VecDeque<Sample>,
}

impl QueueLine {
    fn new(name: QueueName) -> Self {
        let (counts, rates) = (Counts::default(), Rates::default());
        Self { name, counts, rates, fault: None, samples: VecDeque::new() }
    }

    fn take(&mut self, looked: Looked) {
        match looked {
            Ok(counts) => self.note(counts),
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn note(&mut self, counts: Counts) {
        self.fault = None;
        let sample = Sample::of(&counts, 0);
        if let Some(earlier) = self.samples.front() {
            self.rates = Rates::between(earlier, &sample);
        }
        self.samples.push_back(sample);
        let excess = self.samples.len().saturating_sub(MAX_SAMPLES);
        self.samples.drain(..excess);
        self.counts = counts;
    }

    pub(super) fn latest(&self) -> Sample {
        self.samples.back().copied().unwrap_or_default()
    }
}

/// One message of a list.
#[derive(Debug, Clone)]
pub(super) struct MessageLine {
    pub(super) id: MessageId,
    pub(super) at_ms: Option<u64>,
    pub(super) attempt: u64,
    pub(super) failures: u64,
    pub(super) payload: String,
    pub(super) error: String,
}

/// Which messages are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) queue: QueueName,
    pub(super) state: State,
    pub(super) start: u64,
}

/// A page of them, and what is to come in their queue.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) wanted: Wanted,
    pub(super) lines: Vec<MessageLine>,
    pub(super) next: Option<u64>,
    pub(super) forecast: Forecast,
}

/// What is done to a queue or a message once it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Pause(QueueName),
    Resume(QueueName),
    Cancel(QueueName, MessageId),
    Retry(QueueName, MessageId),
}

impl Act {
    pub(super) fn question(&self) -> String {
        match self {
            Self::Pause(queue) => format!("Pause {queue}?"),
            Self::Resume(queue) => format!("Resume {queue}?"),
            Self::Cancel(_, id) => format!("Remove message {id} for good?"),
            Self::Retry(_, id) => format!("Make message {id} due now?"),
        }
    }
}

/// What the loop does after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Only draws again.
    Draw,
    /// Looks at other messages than before.
    Look,
    Do(Act),
    Quit,
}

/// What a queue holds, or why it cannot be read.
pub(super) type Looked = Result<Counts, String>;

/// News from the server.
#[derive(Debug)]
pub(super) enum News {
    /// All queues by name, and those that were looked at.
    Queues(Vec<QueueName>, Vec<(QueueName, Looked)>),
    Messages(Messages),
    /// What became of an action.
    Told(String),
    Outage(String),
}

/// Everything that is on the screen.
#[derive(Debug, Default)]
pub(super) struct App {
    pub(super) address: String,
    pub(super) colored: bool,
    pub(super) queues: Vec<QueueLine>,
    /// Which queue, and which message of the open one.
    pub(super) at: usize,
    pub(super) line: usize,
    /// The open queue's messages; the list of queues if there are none.
    pub(super) wanted: Option<Wanted>,
    pub(super) messages: Option<Messages>,
    pub(super) asked: Option<Act>,
    pub(super) told: String,
    /// Whether the server was heard of.
    pub(super) looked: bool,
    pub(super) outage: Option<String>,
}

impl App {
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Queues(names, looks) => {
                (self.outage, self.looked) = (None, true);
                let chosen = self.queue().map(|queue| queue.name.clone());
                self.keep(names);
                for (name, looked) in looks {
                    if let Some(line) = self.queues.iter_mut().find(|line| line.name == name) {
                        line.take(looked);
                    }
                }
                let again = self.queues.iter().position(|line| Some(&line.name) == chosen.as_ref());
                self.at = again.unwrap_or(self.at.min(self.queues.len().saturating_sub(1)));
            }
            News::Messages(messages) if Some(&messages.wanted) == self.wanted.as_ref() => {
                self.line = self.line.min(messages.lines.len().saturating_sub(1));
                self.messages = Some(messages);
            }
            // The user has gone on.
            News::Messages(_) => {}
            News::Told(told) => self.told = told,
            News::Outage(outage) => self.outage = Some(outage),
        }
    }

    fn keep(&mut self, names: Vec<QueueName>) {
        let mut before = std::mem::take(&mut self.queues);
        for name in names {
            let known = before.iter().position(|line| line.name == name);
            let line = known.map_or_else(|| QueueLine::new(name), |at| before.swap_remove(at));
            self.queues.push(line);
        }
    }

    pub(super) fn queue(&self) -> Option<&QueueLine> {
        self.queues.get(self.at)
    }

    pub(super) fn message(&self) -> Option<&MessageLine> {
        self.messages.as_ref()?.lines.get(self.line)
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Step {
        let code = key.code;
        if code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Step::Quit;
        }
        if let Some(act) = self.asked.take() {
            return if code == KeyCode::Char('y') { Step::Do(act) } else { Step::Draw };
        }
        self.told.clear();
        match code {
            KeyCode::Char('q') => Step::Quit,
            KeyCode::Char('p') => {
                self.asked = self.queue().map(|line| {
                    let name = line.name.clone();
                    if line.counts.paused { Act::Resume(name) } else { Act::Pause(name) }
                });
                Step::Draw
            }
            _ if self.wanted.is_some() => self.message_key(code),
            _ => self.queue_key(code),
        }
    }

    fn queue_key(&mut self, code: KeyCode) -> Step {
        self.at = moved(self.at, self.queues.len(), code);
        match code {
            KeyCode::Esc => return Step::Quit,
            KeyCode::Enter | KeyCode::Right => {
                let queue = self.queue().map(|line| line.name.clone());
                self.wanted = queue.map(|queue| Wanted { queue, state: State::Ready, start: 0 });
                self.line = 0;
                return Step::Look;
            }
            _ => {}
        }
        Step::Draw
    }

    fn message_key(&mut self, code: KeyCode) -> Step {
        let count = self.messages.as_ref().map_or(0, |messages| messages.lines.len());
        self.line = moved(self.line, count, code);
        let (next, id) =
            (self.messages.as_ref().and_then(|it| it.next), self.message().map(|it| it.id));
        let Some(wanted) = &mut self.wanted else { return Step::Draw };
        let queue = wanted.queue.clone();
        match code {
            KeyCode::Esc | KeyCode::Backspace => self.wanted = None,
            KeyCode::Tab | KeyCode::Right => wanted.turn(1),
            KeyCode::BackTab | KeyCode::Left => wanted.turn(State::ALL.len() - 1),
            KeyCode::PageDown => wanted.start = next.unwrap_or(wanted.start),
            KeyCode::PageUp => wanted.start = wanted.start.saturating_sub(PAGE.into()),
            KeyCode::Char('c') => {
                self.asked = id.map(|id| Act::Cancel(queue, id));
                return Step::Draw;
            }
            KeyCode::Char('r') => {
                self.asked = id.map(|id| Act::Retry(queue, id));
                return Step::Draw;
            }
            _ => return Step::Draw,
        }
        self.messages = None;
        self.line = 0;
        Step::Look
    }
}

impl Wanted {
    fn turn(&mut self, by: usize) {
        let at = State::ALL.iter().position(|state| *state == self.state).unwrap_or(0);
        self.state = State::ALL[(at + by) % State::ALL.len()];
        self.start = 0;
    }
}

fn moved(at: usize, count: usize, code: KeyCode) -> usize {
    let last = count.saturating_sub(1);
    match code {
        KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => (at + 1).min(last),
        KeyCode::Home => 0,
        KeyCode::End => last,
        _ => at,
    }
}
