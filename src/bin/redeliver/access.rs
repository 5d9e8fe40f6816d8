//! How the server is proved to be the right one, and how it lets us in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use redeliver::Access;
use redis::{Client, ClientTlsConfig, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use tokio::process::Command;

/// Beside the URL. Files are read anew for each connection.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AccessArgs {
    /// Trusts servers whose certificates this one signed (PEM), instead of those that the system
    /// trusts.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "REDELIVER_TLS_CA",
        hide_env_values = true
    )]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Shows the server this certificate (PEM), where it wants one.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "REDELIVER_TLS_CERT",
        hide_env_values = true
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Proves the certificate with this key (PEM).
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "REDELIVER_TLS_KEY",
        hide_env_values = true
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Reads the password from this file, again for each connection; the user is that of the URL.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "REDELIVER_PASSWORD_FILE",
        hide_env_values = true
    )]
    pub(crate) password_file: Option<PathBuf>,
}

impl AccessArgs {
    /// Each option with its variable and its value.
    pub(crate) fn all(&self) -> [(&'static str, Option<&Path>); 4] {
        [
            ("REDELIVER_TLS_CA", self.tls_ca.as_deref()),
            ("REDELIVER_TLS_CERT", self.tls_cert.as_deref()),
            ("REDELIVER_TLS_KEY", self.tls_key.as_deref()),
            ("REDELIVER_PASSWORD_FILE", self.password_file.as_deref()),
        ]
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.tls_cert.is_some() == self.tls_key.is_some() {
            Ok(())
        } else {
            Err("--tls-cert and --tls-key go together")
        }
    }

    pub(crate) fn access(&self) -> Access {
        let mut access = Access::default();
        if let Some(ca) = &self.tls_ca {
            access = access.ca_file(ca);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            access = access.certificate_files(certificate, key);
        }
        if let Some(password) = &self.password_file {
            access = access.password_file(password);
        }
        access
    }

    /// Lets a process of ours in the same way.
    pub(crate) fn hand_to(&self, command: &mut Command) {
        for (variable, path) in self.all() {
            match path {
                Some(path) => command.env(variable, path),
                None => command.env_remove(variable),
            };
        }
    }

    /// The client library's own client, for what `redeliver` has no call for.
    pub(crate) fn client(&self, url: &str) -> Result<Client> {
        // The URL may hold a password: the error must not repeat it.
        let mut info = url.into_connection_info().ok().context("the URL is not understood")?;
        if let Some(path) = &self.password_file {
            let password = String::from_utf8(read(path)?).context("the password is no UTF-8")?;
            let line = password.trim_end_matches(['\r', '\n']);
            let settings = info.redis_settings().clone().set_password(line);
            info = info.set_redis_settings(settings);
        }
        self.tls(info)
    }

    fn tls(&self, info: ConnectionInfo) -> Result<Client> {
        if self.tls_ca.is_none() && self.tls_cert.is_none() {
            return Ok(Client::open(info)?);
        }
        let root_cert = self.tls_ca.as_deref().map(read).transpose()?;
        let client_tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
            }
            _ => None,
        };
        Ok(Client::build_with_tls(info, TlsCertificates { client_tls, root_cert })?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}
