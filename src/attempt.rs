//! The attempt line: what a message that came back at least once has been through.

use serde::Serialize;

use crate::name::MessageId;

/// Enough to see a pattern, few enough to stay cheap.
const MAX_FAILURES: usize = 8;
/// The newest error is the one people read.
const MAX_NEWEST: usize = 1024;
/// Older errors only have to be told apart.
const MAX_OLDER: usize = 128;
/// Keeps a million retried messages within 2 GB.
const MAX_LINE: usize = 2048;
/// Beyond this a Lua number is no longer exact; the scripts read such a line as unreadable too.
const MAX_EXACT: u64 = 1 << 53;

/// What settles one delivery: it is good once, and only while no later delivery was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Receipt {
    pub(crate) id: MessageId,
    pub(crate) attempt: u64,
}

/// One failed attempt of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// When it failed, in ms since 1970 by the server's clock.
    pub at_ms: u64,
    /// Which attempt it was, counted from 1.
    pub attempt: u64,
    /// What the handler said, shortened and on one line.
    pub error: String,
}

/// `DELIVERIES FAILURES MAX HISTORY`, see `docs/protocol.md`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AttemptLine {
    pub(crate) deliveries: u64,
    pub(crate) failures: u64,
    /// Newest first.
    pub(crate) history: Vec<Failure>,
}

impl AttemptLine {
    /// An unreadable line reads as the first delivery, just as the scripts take it.
    pub(crate) fn parse(line: &[u8]) -> Self {
        Self::read(&String::from_utf8_lossy(line)).unwrap_or_default()
    }

    fn read(line: &str) -> Option<Self> {
        let (deliveries, rest) = number(line)?;
        let (failures, rest) = number(rest.strip_prefix(' ')?)?;
        let (max, rest) = number(rest.strip_prefix(' ')?)?;
        // One failure more has to be writable too: scripts refuse an unreadable line, and with it all
        // that travels in the same call. What is that large is left to `redeliver`, which ends it.
        if deliveries.saturating_add(failures).saturating_add(max).saturating_add(2) >= MAX_EXACT {
            return None;
        }
        let told: Vec<(u64, u64, String)> = serde_json::from_str(rest.trim()).unwrap_or_default();
        let history = told
            .into_iter()
            .take(MAX_FAILURES)
            .map(|(at_ms, attempt, error)| Failure { at_ms, attempt, error })
            .collect();
        Some(Self { deliveries, failures, history })
    }

    /// The line after this delivery failed with an error.
    pub(crate) fn failed(mut self, max: u32, at_ms: u64, error: &str) -> String {
        for older in &mut self.history {
            older.error = clip(&older.error, MAX_OLDER);
        }
        let attempt = self.deliveries + 1;
        self.history.insert(0, Failure { at_ms, attempt, error: clip(error, MAX_NEWEST) });
        self.history.truncate(MAX_FAILURES);
        self.deliveries = attempt;
        self.failures += 1;
        self.render(max)
    }

    /// The line after this delivery was given back without a failure.
    pub(crate) fn released(mut self, max: u32) -> String {
        self.deliveries += 1;
        self.render(max)
    }

    fn render(&self, max: u32) -> String {
        let numbers = format!("{} {} {max}", self.deliveries, self.failures);
        let mut kept = self.history.len();
        while kept > 0 {
            let told: Vec<_> = self.history[..kept]
                .iter()
                .map(|failure| (failure.at_ms, failure.attempt, &failure.error))
                .collect();
            let history = serde_json::to_string(&told).unwrap_or_default();
            if numbers.len() + 1 + history.len() <= MAX_LINE {
                return format!("{numbers} {history}");
            }
            kept -= 1;
        }
        numbers
    }
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Shortens an error so that its JSON form takes at most `limit` bytes, on one line.
fn clip(error: &str, limit: usize) -> String {
    let mut clipped = String::new();
    let mut size = 0;
    for c in error.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        size += c.len_utf8() + usize::from(c == '"' || c == '\\');
        if size > limit {
            break;
        }
        clipped.push(c);
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_writing_and_reading() {
        let line = AttemptLine::default().failed(3, 1_700_000_000_000, "a \"quoted\"\nerror");
        assert_eq!(line, r#"1 1 3 [[1700000000000,1,"a \"quoted\" error"]]"#);
        let read = AttemptLine::parse(line.as_bytes());
        assert_eq!((read.deliveries, read.failures), (1, 1));
        assert_eq!(read.history[0].error, "a \"quoted\" error");
        assert_eq!(read.released(3), r#"2 1 3 [[1700000000000,1,"a \"quoted\" error"]]"#);
    }

    #[test]
    fn damage_reads_as_the_first_delivery() {
        for damage in
            ["", "x", "1 2", "-1 0 0", "9007199254740990 0 0", "1  2 3", "99999999999999999999 1 1"]
        {
            assert_eq!(AttemptLine::parse(damage.as_bytes()), AttemptLine::default(), "{damage}");
        }
        assert_eq!(AttemptLine::parse(b"1 2 3 {broken").failures, 2);
    }

    #[test]
    fn a_line_never_outgrows_its_bound_and_keeps_the_newest_failures() {
        let mut line = AttemptLine::default();
        for _ in 0..20 {
            let text = line.failed(30, 1_700_000_000_000, &"\"ä".repeat(5_000));
            assert!(text.len() <= MAX_LINE && text.len() > MAX_NEWEST);
            line = AttemptLine::parse(text.as_bytes());
        }
        // At their longest, eight errors are beyond the line's bound: the oldest one goes.
        assert_eq!(line.history.len(), MAX_FAILURES - 1);
        assert_eq!(line.history[0].attempt, 20);
        assert!(line.history[6].error.len() <= MAX_OLDER);
        for _ in 0..20 {
            line = AttemptLine::parse(line.failed(30, 1_700_000_000_000, "short").as_bytes());
        }
        assert_eq!(line.history.len(), MAX_FAILURES);
    }

    #[test]
    fn a_line_is_filled_to_the_last_byte_of_its_bound() {
        let older = (0..7).fold(AttemptLine::default(), |line, _| {
            AttemptLine::parse(line.failed(30, 1_700_000_000_000, &"x".repeat(999)).as_bytes())
        });
        let longest = (0..=MAX_NEWEST).map(|size| {
            let text = older.clone().failed(30, 1_700_000_000_000, &"x".repeat(size));
            let whole = AttemptLine::parse(text.as_bytes()).history.len() == MAX_FAILURES;
            if whole { text.len() } else { 0 }
        });
        assert_eq!(longest.max(), Some(MAX_LINE));
    }
}
