//! A proxy that loses one answer of the server, after the server has given it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::fixture::TestServer;

pub(crate) struct Proxy {
    url: String,
    armed: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens on a port of its own for as long as the process lives.
    pub(crate) fn of(server: &TestServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let socket = server.url().trim_start_matches("unix://").to_owned();
        let armed = Arc::new(AtomicBool::new(false));
        let arming = Arc::clone(&armed);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                client.set_nodelay(true).unwrap();
                let server = UnixStream::connect(&socket).unwrap();
                let (mut requests, mut to_server) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    std::io::copy(&mut requests, &mut to_server).ok();
                    to_server.shutdown(Shutdown::Both).ok();
                });
                let armed = Arc::clone(&arming);
                thread::spawn(move || answer(server, client, &armed));
            }
        });
        Self { url, armed }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next answer is lost, and its connection with it.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }
}

fn answer(mut server: impl Read, mut client: std::net::TcpStream, armed: &AtomicBool) {
    let mut answer = [0; 4096];
    while let Ok(size @ 1..) = server.read(&mut answer) {
        let swallowed = armed.swap(false, Ordering::SeqCst);
        if swallowed || client.write_all(&answer[..size]).is_err() {
            break;
        }
    }
    client.shutdown(Shutdown::Both).ok();
}
