//! Lines of a stream, in bounded batches.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Lines of one call.
const MAX_LINES: usize = 512;
const MAX_BYTES: usize = 4 * 1024 * 1024;
const READ_AHEAD: usize = 256 * 1024;

/// Reads lines in bounded batches.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    /// Bytes of a line; a longer one is cut off just above.
    most: u64,
    /// Lines that were read so far.
    pub(crate) read: u64,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(input: R, most: usize) -> Self {
        Self { input: BufReader::with_capacity(READ_AHEAD, input), most: most as u64 + 1, read: 0 }
    }

    /// Waits for one line, then takes what has already arrived: `tail -f` is pushed as it comes.
    pub(crate) async fn batch(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < MAX_LINES && bytes < MAX_BYTES {
            let Some(line) = self.line().await? else {
                break;
            };
            bytes += line.len();
            batch.push(line);
            if self.input.buffer().is_empty() {
                break;
            }
        }
        Ok(batch)
    }

    /// A line without its end.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.input).take(self.most);
        if bounded.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        self.read += 1;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_lose_their_ends_and_nothing_else() {
        let mut lines = Lines::new(&b"a\n\n b\r\nlast"[..], 100);
        let batch = lines.batch().await.unwrap();
        assert_eq!(batch, [&b"a"[..], b"", b" b\r", b"last"]);
        assert!(lines.batch().await.unwrap().is_empty());
        assert_eq!(lines.read, 4);
    }

    #[tokio::test]
    async fn a_batch_is_bounded() {
        let input = "x\n".repeat(MAX_LINES + 1);
        let mut lines = Lines::new(input.as_bytes(), 100);
        assert_eq!(lines.batch().await.unwrap().len(), MAX_LINES);
        assert_eq!(lines.batch().await.unwrap().len(), 1);
    }
}
