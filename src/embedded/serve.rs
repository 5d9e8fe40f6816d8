//! Connections: commands in, replies out, each as far as the other side takes them.

use std::fs::File;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{interval, timeout};

use super::journal::Journal;
use super::reply::Reply;
use super::request::Request;
use super::session::{Answer, Core, Session, Wait, popped};

/// A client that reads no replies is read no further.
const MAX_UNREAD: usize = 64 * 1024 * 1024;
const READ: usize = 64 * 1024;
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Serves one client until either side ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(stream: S, core: Rc<Core>) {
    let mut connection = Connection {
        session: Session::new(Rc::clone(&core)),
        core,
        input: BytesMut::new(),
        output: Vec::new(),
        sent: 0,
        waiting: None,
        closing: false,
    };
    // Whoever has gone needs no error.
    connection.run(stream).await.ok();
}

struct Connection {
    core: Rc<Core>,
    session: Session,
    input: BytesMut,
    output: Vec<u8>,
    /// How much of the output the client has taken.
    sent: usize,
    waiting: Option<Wait>,
    closing: bool,
}

impl Connection {
    async fn run<S: AsyncRead + AsyncWrite>(&mut self, stream: S) -> io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        loop {
            self.work();
            if self.sent == self.output.len() {
                self.output.clear();
                self.sent = 0;
                if self.closing {
                    return writer.shutdown().await;
                }
            }
            let unread = self.output.len() - self.sent;
            self.input.reserve(READ);
            tokio::select! {
                biased;
                () = self.core.stop.cancelled() => return Ok(()),
                written = writer.write(&self.output[self.sent..]), if unread > 0 => {
                    self.sent += written?;
                }
                reply = waited(&mut self.waiting) => {
                    self.waiting = None;
                    reply.encode(&mut self.output, self.session.resp3);
                }
                read = reader.read_buf(&mut self.input), if unread < MAX_UNREAD && !self.closing => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Runs what has come in whole, up to a command that waits. Replies go out when what they tell
    /// is in the append-only file.
    fn work(&mut self) {
        let begun = self.output.len();
        while self.waiting.is_none() && !self.closing && self.output.len() < MAX_UNREAD {
            match Request::take(&mut self.input) {
                Ok(None) => break,
                Ok(Some(request)) => match self.session.call(&request.words()) {
                    Answer::Now(reply) => reply.encode(&mut self.output, self.session.resp3),
                    Answer::Later(wait) => self.waiting = Some(wait),
                },
                Err(fault) => {
                    Reply::Error(fault.into()).encode(&mut self.output, self.session.resp3);
                    self.closing = true;
                    self.input.advance(self.input.len());
                }
            }
        }
        if self.output.len() > begun {
            self.core.flush();
        }
    }
}

/// The reply of a command that waits.
async fn waited(waiting: &mut Option<Wait>) -> Reply {
    let Some(Wait { item, timeout: limit }) = waiting else { return pending().await };
    let item = match limit {
        Some(limit) => timeout(*limit, item).await,
        None => Ok(item.await),
    };
    item.ok().and_then(Result::ok).map_or(Reply::Nil, popped)
}

impl Core {
    fn flush(self: &Rc<Self>) {
        let mut db = self.db.borrow_mut();
        let fsync = db.options.fsync;
        let super::db::Db { journal: Some(journal), keyspace, .. } = &mut *db else { return };
        journal.flush(fsync);
        if journal.wants_rewrite() {
            spawn_local(Rc::clone(self).rewrite(journal.rewrite(keyspace)));
        }
    }

    async fn rewrite(self: Rc<Self>, job: impl FnOnce() -> io::Result<File> + Send + 'static) {
        let made = spawn_blocking(job).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let swapped = self.db.borrow_mut().journal.as_mut().map(|journal| journal.swap(made));
        if let Some(Err(error)) = swapped {
            tracing::warn!(%error, "the append-only file could not be written anew");
        }
    }

    /// Syncs the append-only file every second.
    pub(super) async fn keep_synced(self: Rc<Self>) {
        let mut ticks = interval(SYNC_EVERY);
        loop {
            ticks.tick().await;
            self.sync().await;
        }
    }

    pub(super) async fn sync(&self) {
        let file = self.db.borrow_mut().journal.as_mut().and_then(Journal::take_unsynced);
        let Some(file) = file else { return };
        let sync = || file.and_then(|file| file.sync_data());
        if let Ok(Err(error)) = spawn_blocking(sync).await {
            tracing::error!(%error, "the append-only file is not synced");
        }
    }
}
