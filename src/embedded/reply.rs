//! Replies, and how they look on the wire in RESP2 and RESP3.

use std::borrow::Cow;
use std::io::Write as _;
use std::rc::Rc;

/// A stored string. It is shared, so that a reply costs no copy.
pub(super) type Blob = Rc<[u8]>;
/// An error as it goes over the wire: a code, a blank, a text.
pub(super) type Fault = Cow<'static, str>;
/// What a command comes to.
pub(super) type Outcome = Result<Reply, Fault>;

pub(super) const WRONG_TYPE: Fault =
    Cow::Borrowed("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(super) const SYNTAX: Fault = Cow::Borrowed("ERR syntax error");

#[derive(Debug, Clone)]
pub(super) enum Reply {
    Nil,
    Int(i64),
    Double(f64),
    Status(Cow<'static, str>),
    Bulk(Blob),
    /// Plain text, which RESP3 tells from binary.
    Text(String),
    Error(Fault),
    Array(Vec<Reply>),
    /// Names and values in turn.
    Map(Vec<Reply>),
    /// Members with their scores.
    Scored(Vec<(Blob, f64)>),
    /// What is written as the wire has it.
    Encoded(Vec<u8>),
}

impl Reply {
    pub(super) const OK: Self = Self::Status(Cow::Borrowed("OK"));

    pub(super) fn count(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn bulk(bytes: &[u8]) -> Self {
        Self::Bulk(bytes.into())
    }

    pub(super) fn found(blob: Option<&Blob>) -> Self {
        blob.map_or(Self::Nil, |blob| Self::Bulk(Rc::clone(blob)))
    }

    /// Writes the reply; `resp3` says which protocol the client has chosen.
    pub(super) fn encode(&self, out: &mut Vec<u8>, resp3: bool) {
        match self {
            Self::Nil => out.extend_from_slice(if resp3 { b"_\r\n" } else { b"$-1\r\n" }),
            Self::Int(number) => header(out, b':', *number),
            // A vector takes everything.
            Self::Double(score) if resp3 => {
                write!(out, ",{}\r\n", shown(*score)).unwrap_or_default();
            }
            Self::Double(score) => bulk(out, shown(*score).as_bytes()),
            Self::Status(text) => line(out, b'+', text),
            Self::Bulk(bytes) => bulk(out, bytes),
            Self::Text(text) if resp3 => {
                write!(out, "={}\r\ntxt:{text}\r\n", text.len() + 4).unwrap_or_default();
            }
            Self::Text(text) => bulk(out, text.as_bytes()),
            Self::Error(fault) => line(out, b'-', fault),
            Self::Encoded(bytes) => out.extend_from_slice(bytes),
            Self::Map(replies) if resp3 => list(out, b'%', replies.len() / 2, replies, resp3),
            Self::Array(replies) | Self::Map(replies) => {
                list(out, b'*', replies.len(), replies, resp3);
            }
            Self::Scored(members) => {
                header(out, b'*', if resp3 { members.len() } else { members.len() * 2 });
                for (member, score) in members {
                    if resp3 {
                        out.extend_from_slice(b"*2\r\n");
                    }
                    bulk(out, member);
                    Self::Double(*score).encode(out, resp3);
                }
            }
        }
    }
}

pub(super) fn header(out: &mut Vec<u8>, kind: u8, number: impl std::fmt::Display) {
    out.push(kind);
    write!(out, "{number}\r\n").unwrap_or_default();
}

pub(super) fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    header(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A line cannot hold the bytes that end it.
fn line(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    out.extend(text.bytes().map(|byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

fn list(out: &mut Vec<u8>, kind: u8, length: usize, replies: &[Reply], resp3: bool) {
    header(out, kind, length);
    for reply in replies {
        reply.encode(out, resp3);
    }
}

/// A command as it goes into the append-only file.
pub(super) fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    header(out, b'*', words.len());
    for word in words {
        bulk(out, word);
    }
}

/// A score as text: whole numbers without a point, huge ones with an exponent.
pub(super) fn shown(score: f64) -> String {
    if score.is_infinite() {
        return if score > 0.0 { "inf" } else { "-inf" }.into();
    }
    if score.abs() < 1e17 {
        return score.to_string();
    }
    let text = format!("{score:e}");
    text.replace('e', "e+")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply, resp3: bool) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out, resp3);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn scores_look_like_those_of_the_servers() {
        let cases = [(1.0, "1"), (1.5, "1.5"), (-0.0, "-0"), (1e16, "10000000000000000")];
        for (score, text) in cases {
            assert_eq!(shown(score), text);
        }
        assert_eq!(shown(1e17), "1e+17");
        assert_eq!(shown(f64::NEG_INFINITY), "-inf");
    }

    #[test]
    fn each_protocol_has_its_own_shapes() {
        let scored = Reply::Scored(vec![(b"a"[..].into(), 2.0)]);
        assert_eq!(encoded(&scored, false), "*2\r\n$1\r\na\r\n$1\r\n2\r\n");
        assert_eq!(encoded(&scored, true), "*1\r\n*2\r\n$1\r\na\r\n,2\r\n");
        let map = Reply::Map(vec![Reply::bulk(b"k"), Reply::Nil]);
        assert_eq!(encoded(&map, false), "*2\r\n$1\r\nk\r\n$-1\r\n");
        assert_eq!(encoded(&map, true), "%1\r\n$1\r\nk\r\n_\r\n");
        assert_eq!(encoded(&Reply::Error("ERR a\nb".into()), true), "-ERR a b\r\n");
        assert_eq!(encoded(&Reply::Text("hi".into()), true), "=6\r\ntxt:hi\r\n");
    }
}
