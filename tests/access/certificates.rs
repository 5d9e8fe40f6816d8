//! A server that shows a certificate.

use std::net::TcpListener;
use std::path::PathBuf;

use crate::authority::{Authority, speaks_tls};
use crate::fixture::TestServer;

/// A server that speaks TLS on a port; beside it a socket for looking and meddling.
pub(crate) struct Secured {
    _server: TestServer,
    pub(crate) ca: Authority,
    port: u16,
}

impl Secured {
    /// None where the server under test was built without TLS.
    pub(crate) fn start(clients: &str) -> Option<Self> {
        if !speaks_tls() {
            eprintln!("left out: the server has no TLS");
            return None;
        }
        let ca = Authority::new("our CA");
        let (certificate, key) = ca.sign("server");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ca_file = ca.path("ca.pem");
        let file = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let (certificate, key, ca_file) = (file(&certificate), file(&key), file(&ca_file));
        let port_text = port.to_string();
        let server = TestServer::start(&[
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca_file,
            "--tls-auth-clients",
            clients,
        ]);
        Some(Self { _server: server, ca, port })
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }
}
