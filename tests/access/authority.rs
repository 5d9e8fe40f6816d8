//! A CA and what it signed.

use std::path::PathBuf;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use redeliver::Access;
use tempfile::TempDir;

use crate::under_test;

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
pub(crate) fn speaks_tls() -> bool {
    let program = under_test::program();
    let mut command = Command::new(&program[0]);
    let told = command.args(&program[1..]).args(["--port", "0", "--tls-port", "1"]).output();
    String::from_utf8_lossy(&told.unwrap().stdout).contains("No tls-cert-file configured")
}
