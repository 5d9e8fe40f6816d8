//! A record as it came from the server: `MAX`, header and payload, or any other bytes.

use serde::de::IgnoredAny;

use crate::error::{Error, Result};
use crate::message::{Header, Payload};

/// The payload stays where it is.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    bytes: Vec<u8>,
    payload_at: usize,
    pub(crate) max: u32,
    pub(crate) header: Header,
    /// Why it cannot be read, if so.
    damage: Option<&'static str>,
}

impl Record {
    /// Reads any bytes. What is no record has no header, and all of its bytes stand for its payload,
    /// so that nothing of it is lost on whoever looks at it; MAX is what the scripts read.
    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let second = lines.next();
        let max = second.and_then(|_| max_of(first));
        let header = header_of(second.unwrap_or_default());
        let rest = lines.next();
        let damage = match (second, max, rest, &header) {
            _ if bytes.is_empty() => Some("it is empty"),
            (Some(_), None, ..) => Some("its first line is no number of attempts"),
            (None, ..) | (_, _, None, _) => Some("it ends before its payload"),
            (.., None) => Some("its second line is neither empty nor a JSON object"),
            _ => None,
        };
        let payload = rest.filter(|_| damage.is_none()).unwrap_or(&bytes);
        let payload_at = bytes.len() - payload.len();
        let header = header.filter(|_| damage.is_none()).unwrap_or_default();
        Self { bytes, payload_at, max: max.unwrap_or(0), header, damage }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    pub(crate) fn decode<T: Payload>(&self) -> Result<T> {
        match self.damage {
            Some(reason) => Err(Error::Record { reason }),
            None => T::decode(self.payload()),
        }
    }
}

/// Whatever JSON object another writer makes of the header, it costs at most what it says, never
/// the delivery; what is no JSON object was not written as a header.
fn header_of(line: &[u8]) -> Option<Header> {
    if line.is_empty() {
        return Some(Header::default());
    }
    let text = std::str::from_utf8(line).ok().filter(|text| text.trim_start().starts_with('{'))?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(serde_json::from_str(text).unwrap_or_default())
}

/// Digits only, as the scripts read them; a number that no `u32` holds is as good as its largest.
fn max_of(line: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(line).ok().filter(|line| !line.is_empty())?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Backoff;
    use crate::message::{Message, Raw};
    use crate::policy::Policy;

    #[test]
    fn a_record_survives_writing_and_reading_whatever_its_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        let message =
            Message::new(Raw(all.clone())).kind("k\n").header("a", "b").retry(Backoff::None);
        let record =
            Record::parse(message.prepare(&Policy::default().max_attempts(3)).unwrap().record);
        assert_eq!(record.payload(), all);
        assert_eq!(record.header.kind.as_deref(), Some("k\n"));
        assert_eq!(record.header.backoff, Some(Backoff::None));
        assert_eq!(record.max, 3);
    }

    #[test]
    fn an_unknown_part_of_a_header_does_not_cost_the_rest() {
        let bytes = br#"1
{"kind":"k","backoff":{"kind":"fibonacci"},"later":1}
x"#;
        let record = Record::parse(bytes.to_vec());
        assert_eq!((record.header.kind.as_deref(), record.header.backoff), (Some("k"), None));
    }

    #[test]
    fn damage_keeps_every_byte_and_says_what_is_wrong() {
        let damaged: [(&[u8], u32, &str); 9] = [
            (b"", 0, "empty"),
            (b"x", 0, "ends before"),
            (b"1", 0, "ends before"),
            (b"1\n", 1, "ends before"),
            (b"\n", 0, "first line"),
            (b"+1\n\n", 0, "first line"),
            (b"\xff\n\nx", 0, "first line"),
            (b"1\n{\nx", 1, "second line"),
            (b"1\n[\"k\"]\nx", 1, "second line"),
        ];
        for (bytes, max, reason) in damaged {
            let record = Record::parse(bytes.to_vec());
            assert_eq!((record.max, record.payload()), (max, bytes));
            let error = record.decode::<Raw>().unwrap_err().to_string();
            assert!(error.contains(reason), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn an_odd_header_or_number_does_not_cost_the_delivery() {
        let headers = [
            r#"{"kind":1e999}"#,
            r#"{"kind":"a","kind":"b"}"#,
            r#" {"kind":["k"],"headers":7}"#,
            r#"{"kind":"\ud800"}"#,
        ];
        for header in headers {
            let record = Record::parse(format!("1\n{header}\nx").into_bytes());
            assert_eq!(record.decode::<Raw>().unwrap().0, b"x", "{header}");
            assert_eq!(record.header, Header::default(), "{header}");
        }
        assert_eq!(Record::parse(b"4294967296\n\n".to_vec()).max, u32::MAX);
    }
}
