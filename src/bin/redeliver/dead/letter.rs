//! A dead letter on a line of its own, as it is exported and imported.

use data_encoding::{BASE64, HEXLOWER};
use redeliver::{Header, Message, MessageId, Raw, Retry, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::failure_json;
use crate::output::rfc3339;

/// What is written; of what is read, the id, the rule, the header and the payload count.
///
/// The lists of messages that the program writes have the same fields, and are read as well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    id: MessageId,
    #[serde(skip_deserializing)]
    died: Option<String>,
    #[serde(skip_deserializing)]
    pushed: Option<String>,
    #[serde(skip_deserializing)]
    attempt: u64,
    #[serde(skip_deserializing)]
    failures: u64,
    max_attempts: Option<u32>,
    #[serde(skip_deserializing)]
    history: Vec<Value>,
    #[serde(default, skip_serializing_if = "is_empty")]
    header: Header,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing)]
    payload_base16: Option<String>,
}

fn is_empty(header: &Header) -> bool {
    *header == Header::default()
}

impl Letter {
    pub(crate) fn of(message: &Snapshot) -> Self {
        let text = std::str::from_utf8(&message.payload).ok();
        Self {
            id: message.id,
            died: message.at_ms.and_then(rfc3339),
            pushed: rfc3339(message.id.pushed_ms()),
            attempt: message.attempt,
            failures: message.failures,
            max_attempts: Some(message.max_attempts),
            history: message.history.iter().map(failure_json).collect(),
            header: message.header.clone(),
            payload: text.map(str::to_owned),
            payload_base64: text.is_none().then(|| BASE64.encode(&message.payload)),
            payload_base16: None,
        }
    }

    /// Reads a line; `Err` says what is wrong with it, and nothing of what it holds.
    pub(crate) fn parse(line: &[u8]) -> Result<Message<Raw>, String> {
        let letter: Self = serde_json::from_slice(line).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let wrong = error.to_string().replace(&format!(" at line {line} column {column}"), "");
            format!("column {column}: {wrong}")
        })?;
        let payload = match (letter.payload, letter.payload_base64, letter.payload_base16) {
            (Some(text), None, None) => text.into_bytes(),
            (None, Some(text), None) => {
                BASE64.decode(text.as_bytes()).map_err(|_| "payload_base64 is no base 64")?
            }
            (None, None, Some(text)) => {
                HEXLOWER.decode(text.as_bytes()).map_err(|_| "payload_base16 is no base 16")?
            }
            _ => return Err("it takes one of payload and payload_base64".to_owned()),
        };
        let Header { kind, content_type, headers, backoff, .. } = letter.header;
        let mut message = Message::new(Raw(payload)).id(letter.id);
        if let Some(max_attempts) = letter.max_attempts {
            message = message.retry(Retry::max_attempts(max_attempts));
        }
        if let Some(backoff) = backoff {
            message = message.retry(backoff);
        }
        if let Some(kind) = kind {
            message = message.kind(kind);
        }
        if let Some(content_type) = content_type {
            message = message.content_type(content_type);
        }
        for (name, value) in headers {
            message = message.header(name, value);
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_needs_an_id_and_one_payload() {
        let id = r#""id":"01JD0Z3N9Q6V2G7T8K4M5R1XYZ""#;
        let good = [
            format!(r#"{{{id},"payload":"x"}}"#),
            format!(r#"{{{id},"payload_base64":"/wA=","state":"dead","history":[]}}"#),
            format!(r#"{{{id},"payload_base16":"ff00","header":{{"kind":"mail"}}}}"#),
        ];
        for line in good {
            assert!(Letter::parse(line.as_bytes()).is_ok(), "{line}");
        }
        let bad = [
            (r#"{"payload":"x"}"#.to_owned(), "missing field `id`"),
            (format!("{{{id}}}"), "one of payload"),
            (format!(r#"{{{id},"payload":"x","payload_base64":""}}"#), "one of payload"),
            (format!(r#"{{{id},"payload_base64":"%"}}"#), "no base 64"),
            ("{".to_owned(), "column 1"),
            (String::new(), "column 0"),
        ];
        for (line, wrong) in bad {
            let told = Letter::parse(line.as_bytes()).unwrap_err();
            assert!(told.contains(wrong), "{line}: {told}");
        }
    }
}
