//! Messages as the page gets them: numbers and text, never markup.

use redeliver::{Failure, Header, MessageId, Snapshot};
use serde::Serialize;

use crate::message::base16;

/// Enough to tell messages apart in a list.
const PREVIEW: usize = 160;
/// What a page shows of a payload; the largest that the default policy allows.
const MAX_SHOWN: usize = 256 * 1024;

/// One line of a list.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    id: MessageId,
    state: &'static str,
    at_ms: Option<u64>,
    pushed_ms: u64,
    attempt: u64,
    failures: u64,
    max_attempts: u32,
    kind: Option<String>,
    size: usize,
    payload: Shown,
    error: Option<String>,
}

impl Line {
    pub(super) fn of(message: &Snapshot) -> Self {
        Self {
            id: message.id,
            state: message.state.as_str(),
            at_ms: message.at_ms,
            pushed_ms: message.id.pushed_ms(),
            attempt: message.attempt,
            failures: message.failures,
            max_attempts: message.max_attempts,
            kind: message.header.kind.clone(),
            size: message.payload.len(),
            payload: Shown::of(&message.payload, PREVIEW),
            error: message.history.first().map(|failure| failure.error.clone()),
        }
    }
}

/// Everything about one message.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    now_ms: u64,
    #[serde(flatten)]
    line: Line,
    header: Header,
    history: Vec<Failure>,
    body: Shown,
}

impl Whole {
    pub(super) fn of(message: Snapshot, now_ms: u64) -> Self {
        Self {
            now_ms,
            line: Line::of(&message),
            body: Shown::of(&message.payload, MAX_SHOWN),
            header: message.header,
            history: message.history,
        }
    }
}

/// A payload, or its beginning: text where it is text, else base 16.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown {
    encoding: &'static str,
    text: String,
    is_cut: bool,
}

impl Shown {
    fn of(payload: &[u8], most: usize) -> Self {
        let cut = &payload[..payload.len().min(most)];
        let is_cut = cut.len() < payload.len();
        let (encoding, text) = match std::str::from_utf8(cut) {
            Ok(text) => ("text", text.to_owned()),
            // Only the last character was cut in two.
            Err(error) if error.error_len().is_none() && is_cut => {
                ("text", String::from_utf8_lossy(&cut[..error.valid_up_to()]).into_owned())
            }
            Err(_) => ("hex", base16(cut)),
        };
        Self { encoding, text, is_cut }
    }
}

/// Whether the text, in lower case, stands anywhere in the message.
pub(super) fn contains(message: &Snapshot, wanted: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(wanted);
    let header = &message.header;
    has(&message.id.to_string())
        || has(&String::from_utf8_lossy(&message.payload))
        || header.kind.as_deref().is_some_and(has)
        || header.headers.iter().any(|(name, value)| has(name) || has(value))
        || message.history.iter().any(|failure| has(&failure.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_where_they_are_text() {
        let shown = |payload: &[u8], most| {
            let Shown { encoding, text, is_cut } = Shown::of(payload, most);
            (encoding, text, is_cut)
        };
        assert_eq!(shown(b"<script>", 99), ("text", "<script>".into(), false));
        assert_eq!(shown("aä".as_bytes(), 2), ("text", "a".into(), true));
        assert_eq!(shown(&[0xff, 0x00], 99), ("hex", "ff00".into(), false));
        assert_eq!(shown(&[b'a', 0xc3], 99), ("hex", "61c3".into(), false));
    }
}
