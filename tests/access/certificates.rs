//! A CA, what it signed, and a server that shows it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use redeliver::Access;
use tempfile::TempDir;

use crate::fixture::{TestServer, under_test};

/// The files of a CA, in PEM.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::with_prefix("rd-ca-").unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    /// Writes a certificate and its key.
    pub(crate) fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name).signed_by(&key, &self.issuer).unwrap();
        let (pem, key_pem) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&pem, certificate.pem()).unwrap();
        std::fs::write(&key_pem, key.serialize_pem()).unwrap();
        (pem, key_pem)
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Trusts this CA, and nobody else.
    pub(crate) fn trusted(&self) -> Access {
        Access::default().ca_file(self.path("ca.pem"))
    }
}

/// Without a certificate no server starts; one that was built without TLS does not ask for it.
fn speaks_tls() -> bool {
    let program = under_test::program();
    let mut command = Command::new(&program[0]);
    let told = command.args(&program[1..]).args(["--port", "0", "--tls-port", "1"]).output();
    String::from_utf8_lossy(&told.unwrap().stdout).contains("No tls-cert-file configured")
}

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
