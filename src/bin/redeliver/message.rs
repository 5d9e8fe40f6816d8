//! A message as the program shows it.

use data_encoding::HEXLOWER;
use redeliver::{Failure, Header, MessageId, Snapshot};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::output::{Row, relative, rfc3339, table};

const SHOWN_PAYLOAD: usize = 48;

/// A message and the server's time at which it is looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) now_ms: u64,
    pub(crate) message: Snapshot,
}

impl Row for Seen {
    const HEADINGS: &'static [&'static str] =
        &["id", "state", "when", "pushed", "attempt", "failures", "payload", "last error"];

    fn cells(&self) -> Vec<String> {
        let Self { now_ms, message } = self;
        let when = message.at_ms.map(|at| relative(*now_ms, at));
        let error = message.history.first().map(|failure| failure.error.as_str());
        vec![
            message.id.to_string(),
            message.state.to_string(),
            when.unwrap_or_default(),
            relative(*now_ms, message.id.pushed_ms()),
            message.attempt.to_string(),
            failures(message),
            cut(&payload_text(&message.payload)),
            cut(&visible(error.unwrap_or_default())),
        ]
    }
}

/// What a message looks like in JSON.
#[derive(Serialize)]
struct Fields<'a> {
    id: MessageId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    pushed: Option<String>,
    attempt: u64,
    failures: u64,
    max_attempts: u32,
    history: Vec<Value>,
    #[serde(skip_serializing_if = "is_empty")]
    header: &'a Header,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base16: Option<String>,
}

fn is_empty(header: &Header) -> bool {
    *header == Header::default()
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = &self.message;
        let payload = std::str::from_utf8(&message.payload);
        let fields = Fields {
            id: message.id,
            state: message.state.as_str(),
            at: message.at_ms.and_then(rfc3339),
            pushed: rfc3339(message.id.pushed_ms()),
            attempt: message.attempt,
            failures: message.failures,
            max_attempts: message.max_attempts,
            history: message.history.iter().map(failure_json).collect(),
            header: &message.header,
            payload: payload.ok(),
            payload_base16: payload.is_err().then(|| base16(&message.payload)),
        };
        fields.serialize(serializer)
    }
}

impl Seen {
    /// Everything about it, for people.
    pub(crate) fn in_full(&self) -> String {
        let Self { now_ms, message } = self;
        let when = message.at_ms.map(|at| moment(*now_ms, at)).unwrap_or_default();
        let mut rows = vec![
            vec!["id".into(), message.id.to_string()],
            vec!["state".into(), format!("{} {when}", message.state)],
            vec!["pushed".into(), moment(*now_ms, message.id.pushed_ms())],
            vec!["attempt".into(), message.attempt.to_string()],
            vec!["failures".into(), failures(message)],
        ];
        rows.extend(header_rows(&message.header));
        rows.extend(message.history.iter().map(|failure| {
            let when = relative(*now_ms, failure.at_ms);
            let error = visible(&failure.error);
            vec![format!("failed attempt {}", failure.attempt), format!("{when}: {error}")]
        }));
        let facts = table(&[], &rows);
        format!("{facts}\n\n{}", payload_in_full(&message.payload))
    }
}

fn header_rows(header: &Header) -> Vec<Vec<String>> {
    let backoff = header.backoff.as_ref().and_then(|backoff| serde_json::to_string(backoff).ok());
    let known = [
        ("kind", header.kind.clone()),
        ("content type", header.content_type.clone()),
        ("backoff", backoff),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let own = header.headers.iter().map(|(name, value)| (format!("header {name}"), value.clone()));
    known.chain(own).map(|(name, value)| vec![visible(&name), visible(&value)]).collect()
}

/// JSON on many lines in the order in which it stands, other text as it is, and else its bytes.
fn payload_in_full(payload: &[u8]) -> String {
    match payload.trim_ascii_start().first() {
        Some(b'{' | b'[') => pretty(payload).unwrap_or_else(|| payload_text(payload)),
        _ => payload_text(payload),
    }
}

fn pretty(payload: &[u8]) -> Option<String> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let mut pretty = Vec::with_capacity(payload.len() * 2);
    let mut lines = serde_json::Serializer::pretty(&mut pretty);
    serde_transcode::transcode(&mut json, &mut lines).ok()?;
    json.end().ok()?;
    Some(visible(&String::from_utf8(pretty).ok()?))
}

fn failures(message: &Snapshot) -> String {
    match message.max_attempts {
        0 => format!("{} (no limit)", message.failures),
        max => format!("{} of {max}", message.failures),
    }
}

pub(crate) fn failure_json(failure: &Failure) -> Value {
    json!({
        "at": rfc3339(failure.at_ms),
        "attempt": failure.attempt,
        "error": failure.error,
    })
}

fn moment(now_ms: u64, at_ms: u64) -> String {
    let absolute = rfc3339(at_ms).unwrap_or_default();
    format!("{absolute} ({})", relative(now_ms, at_ms))
}

pub(crate) fn payload_text(payload: &[u8]) -> String {
    std::str::from_utf8(payload).map_or_else(|_| base16(payload), visible)
}

pub(crate) fn base16(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// What came from elsewhere must not move a terminal's cursor, nor turn its text round.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The beginning of a text, on one line.
pub(crate) fn cut(text: &str) -> String {
    let text = text.replace('\n', "\\n");
    match text.char_indices().nth(SHOWN_PAYLOAD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_no_text_is_shown_in_hex() {
        assert_eq!(payload_text(&[0xff, 0x00]), "ff00");
        assert_eq!(payload_text("ä\u{1b}[2J".as_bytes()), "ä\\u{1b}[2J");
    }

    #[test]
    fn a_payload_of_json_is_shown_on_many_lines_in_its_order() {
        let shown = payload_in_full(br#"{"z":1,"a":[2]}"#);
        assert_eq!(shown, "{\n  \"z\": 1,\n  \"a\": [\n    2\n  ]\n}");
        for text in ["1.50", "{\"a\":1} and more", "{"] {
            assert_eq!(payload_in_full(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("a\nb"), "a\\nb");
        assert_eq!(cut(&"ä".repeat(60)).chars().count(), SHOWN_PAYLOAD + 1);
    }
}
