//! Commands as they come in: arrays of strings.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// What the servers allow.
const MAX_WORDS: usize = 1024 * 1024;
const MAX_WORD: usize = 512 * 1024 * 1024;
/// Of a header.
const MAX_LINE: usize = 64 * 1024;

/// One command, whole.
#[derive(Debug)]
pub(super) struct Request {
    frame: Bytes,
    words: Vec<Range<usize>>,
}

impl Request {
    pub(super) fn words(&self) -> Vec<&[u8]> {
        self.words.iter().map(|word| &self.frame[word.clone()]).collect()
    }

    /// Bytes on the wire.
    pub(super) fn len(&self) -> usize {
        self.frame.len()
    }

    /// Takes the next command off the buffer; `None` as long as it is not whole.
    pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Self>, &'static str> {
        loop {
            let Some((words, end)) = array(buffer)? else { return Ok(None) };
            let frame = buffer.split_to(end).freeze();
            if !words.is_empty() {
                return Ok(Some(Self { frame, words }));
            }
        }
    }
}

/// The end of a line from here on, and where the next one begins.
fn end_of_line(buffer: &[u8], start: usize) -> Result<Option<(usize, usize)>, &'static str> {
    let rest = &buffer[start..];
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(at) => Ok(Some((start + at, start + at + 1))),
        None if rest.len() > MAX_LINE => Err("ERR Protocol error: too big mbulk count string"),
        None => Ok(None),
    }
}

fn number(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line).ok()?.trim_end().parse().ok()
}

type Parsed = Result<Option<(Vec<Range<usize>>, usize)>, &'static str>;

fn array(buffer: &[u8]) -> Parsed {
    match buffer.first() {
        None => return Ok(None),
        Some(b'*') => {}
        Some(_) => return Err("ERR Protocol error: commands come as arrays"),
    }
    let Some((end, mut at)) = end_of_line(buffer, 1)? else { return Ok(None) };
    let count = number(&buffer[1..end]).filter(|count| *count <= MAX_WORDS);
    let count = count.ok_or("ERR Protocol error: invalid multibulk length")?;
    let mut words = Vec::with_capacity(count.min(buffer.len() / 5 + 1));
    for _ in 0..count {
        match buffer.get(at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err("ERR Protocol error: expected '$'"),
        }
        let Some((end, start)) = end_of_line(buffer, at + 1)? else { return Ok(None) };
        let length = number(&buffer[at + 1..end]).filter(|length| *length <= MAX_WORD);
        let length = length.ok_or("ERR Protocol error: invalid bulk length")?;
        at = start + length + 2;
        if buffer.len() < at {
            return Ok(None);
        }
        words.push(start..start + length);
    }
    Ok(Some((words, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_when_it_is_whole_and_not_before() {
        let whole = b"*2\r\n$4\r\nLLEN\r\n$3\r\na\r\n\r\n";
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::from(&whole[..cut]);
            assert!(Request::take(&mut buffer).unwrap().is_none(), "{cut}");
            assert_eq!(buffer.len(), cut, "nothing was taken");
        }
        let mut buffer =
            BytesMut::from(&[&whole[..], b"*2\r\n$4\r\nPING\r\n$1\r\nx\r\n*1"].concat()[..]);
        let taken = Request::take(&mut buffer).unwrap().unwrap();
        assert_eq!(taken.words(), [&b"LLEN"[..], b"a\r\n"]);
        assert_eq!(Request::take(&mut buffer).unwrap().unwrap().words(), [&b"PING"[..], b"x"]);
        assert!(Request::take(&mut buffer).unwrap().is_none());
        for wrong in ["*x\r\n", "PING\r\n", "*1\r\n+a\r\n", "*1\r\n$-1\r\n"] {
            assert!(Request::take(&mut BytesMut::from(wrong)).is_err(), "{wrong}");
        }
    }
}
