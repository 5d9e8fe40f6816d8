//! How a server is proved to be the right one, and how it lets us in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redis::{Client, ConnectionAddr, ConnectionInfo};

use crate::error::{Error, Result};

/// A list of all public authorities has a quarter of it; a larger file is another one.
const MAX_FILE: u64 = 1024 * 1024;

type Provider = dyn Fn() -> io::Result<String> + Send + Sync;

/// What a connection takes beside its URL: certificates, and a password that may change. Files are read
/// anew for each connection, so that what was replaced holds from the next one on.
///
/// ```no_run
/// # async fn run() -> redeliver::Result<()> {
/// use redeliver::{Access, Server};
///
/// let access = Access::default().password_file("/run/secrets/redis");
/// let server = Server::connect_with("redis://mailer@10.0.0.1", &access).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Access {
    ca: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    password: Option<Password>,
}

#[derive(Clone)]
enum Password {
    File(PathBuf),
    From(Arc<Provider>),
}

impl fmt::Debug for Access {
    /// Names files, never what stands in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = match &self.password {
            None => None,
            Some(Password::File(path)) => Some(path.display().to_string()),
            Some(Password::From(_)) => Some("…".to_owned()),
        };
        f.debug_struct("Access")
            .field("ca", &self.ca)
            .field("certificate", &self.certificate)
            .field("password", &password)
            .finish()
    }
}

impl Access {
    /// Trusts servers whose certificates are signed by one in this file (PEM), and no others. Without
    /// it, those that the system trusts. It takes `rediss://`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(path.into());
        self
    }

    /// Shows the server a certificate of our own, and proves it with its key (both PEM). It takes
    /// `rediss://`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificate_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Reads the password from this file for each connection; the user is that of the URL. A line end
    /// at its end does not count.
    #[must_use]
    pub fn password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.password = Some(Password::File(path.into()));
        self
    }

    /// Asks for the password for each connection; the user is that of the URL. It may block.
    #[must_use]
    pub fn password_from(
        mut self,
        provider: impl Fn() -> io::Result<String> + Send + Sync + 'static,
    ) -> Self {
        self.password = Some(Password::From(Arc::new(provider)));
        self
    }

    /// The same certificates for a server with a password of its own.
    pub(crate) fn without_password(&self) -> Self {
        Self { password: None, ..self.clone() }
    }

    /// Whether a connection takes nothing but its URL.
    pub(crate) fn is_plain(&self) -> bool {
        self.ca.is_none() && self.certificate.is_none() && self.password.is_none()
    }

    /// Checks now what every connection will read, and that the URL goes with it.
    pub(crate) fn check(&self, info: &ConnectionInfo) -> Result<()> {
        if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
            let limit = "certificates are always checked: name the CA that signed the server's";
            return Err(Error::invalid("server URL", "#insecure", limit));
        }
        let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let certificate = self.certificate.as_ref().map(|(certificate, _)| certificate);
        if !tls && let Some(path) = self.ca.as_ref().or(certificate) {
            let limit = "certificates take a URL with rediss://";
            return Err(Error::invalid("certificate file", &path.display().to_string(), limit));
        }
        if let Some(Password::File(path)) = &self.password {
            read("password file", path)?;
        }
        #[cfg(feature = "tls")]
        if tls {
            tls::client(info.clone(), self.ca.as_deref(), self.certificate.as_ref())?;
        }
        Ok(())
    }

    /// A client for one connection. It reads files: not for a task of the runtime.
    pub(crate) fn client(&self, info: ConnectionInfo) -> Result<Client> {
        let password = match &self.password {
            None => None,
            Some(Password::File(path)) => Some(secret(path)?),
            Some(Password::From(provider)) => {
                let failed = |error: io::Error| Error::Denied {
                    reason: format!("the password could not be had: {error}"),
                };
                Some(provider().map_err(failed)?)
            }
        };
        let info = match password {
            Some(password) => {
                let settings = info.redis_settings().clone().set_password(password);
                info.set_redis_settings(settings)
            }
            None => info,
        };
        #[cfg(feature = "tls")]
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return tls::client(info, self.ca.as_deref(), self.certificate.as_ref());
        }
        Client::open(info).map_err(|error| Error::Refused { reason: error.to_string() })
    }

    /// What to look at when a connection by TLS does not come about.
    pub(crate) fn trusted(&self) -> String {
        let ca = self.ca.as_ref().map_or_else(
            || "the system's certificates".to_owned(),
            |path| path.display().to_string(),
        );
        let own = self.certificate.as_ref();
        let own = own.map(|(path, _)| format!(", showing {}", path.display()));
        format!("trusting {ca}{}", own.unwrap_or_default())
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>> {
    use io::Read as _;
    let unread = |told: &dyn fmt::Display| {
        Error::invalid(what, &path.display().to_string(), told.to_string())
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| unread(&error))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| unread(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unread(&"it takes at most 1 MiB"));
    }
    Ok(bytes)
}

fn secret(path: &Path) -> Result<String> {
    let text = String::from_utf8(read("password file", path)?).map_err(|_| {
        Error::invalid("password file", &path.display().to_string(), "it takes UTF-8")
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(feature = "tls")]
mod tls {
    use std::path::{Path, PathBuf};

    use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};
    use rustls::crypto::{CryptoProvider, ring};
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::read;
    use crate::error::{Error, Result};

    /// A client with what the files hold now. Each file is looked at by itself, so that an error
    /// can name it.
    pub(super) fn client(
        info: ConnectionInfo,
        ca: Option<&Path>,
        certificate: Option<&(PathBuf, PathBuf)>,
    ) -> Result<Client> {
        // Where an application has chosen none; with two of them built in, rustls would panic.
        if CryptoProvider::get_default().is_none() {
            ring::default_provider().install_default().ok();
        }
        let root_cert = ca.map(|path| certificates("CA file", path)).transpose()?;
        let client_tls = match certificate {
            Some((path, key)) => {
                let client_cert = certificates("certificate file", path)?;
                let client_key = read("key file", key)?;
                let parsed = PrivateKeyDer::from_pem_slice(&client_key);
                parsed.map_err(|_| wrong("key file", key, "it takes an unencrypted key in PEM"))?;
                Some(ClientTlsConfig { client_cert, client_key })
            }
            None => None,
        };
        Client::build_with_tls(info, TlsCertificates { client_tls, root_cert })
            .map_err(|error| Error::Refused { reason: error.to_string() })
    }

    fn certificates(what: &'static str, path: &Path) -> Result<Vec<u8>> {
        let bytes = read(what, path)?;
        let mut parsed = CertificateDer::pem_slice_iter(&bytes).peekable();
        let sound = parsed.peek().is_some() && parsed.all(|certificate| certificate.is_ok());
        if sound { Ok(bytes) } else { Err(wrong(what, path, "it takes certificates in PEM")) }
    }

    fn wrong(what: &'static str, path: &Path, limit: &str) -> Error {
        Error::invalid(what, &path.display().to_string(), limit)
    }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo as _;

    use super::*;

    fn info(url: &str) -> ConnectionInfo {
        url.into_connection_info().unwrap()
    }

    fn password(access: &Access) -> Option<String> {
        let client = access.client(info("redis://u:old@host")).unwrap();
        client.get_connection_info().redis_settings().password().map(str::to_owned)
    }

    #[test]
    fn a_password_is_read_anew_for_each_connection_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let access = Access::default().password_file(&path);
        let missing = access.check(&info("redis://host")).unwrap_err();
        assert!(missing.to_string().contains(path.to_str().unwrap()), "{missing}");
        for (written, wanted) in [("canary\n", "canary"), ("two\r\n", "two"), (" t \n\n", " t \n")]
        {
            std::fs::write(&path, written).unwrap();
            assert_eq!(password(&access).as_deref(), Some(wanted));
        }
        assert_eq!(password(&Access::default()).as_deref(), Some("old"));
        let from = Access::default().password_from(|| Ok("canary".to_owned()));
        assert_eq!(password(&from).as_deref(), Some("canary"));
        assert!(!format!("{from:?} {access:?}").contains("canary"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn wrong_certificates_are_refused_by_the_name_of_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "canary").unwrap();
        let access = Access::default().ca_file(&path);
        for url in ["rediss://host", "redis://host"] {
            let refused = access.check(&info(url)).unwrap_err();
            assert!(refused.is_invalid() && refused.to_string().contains("ca.pem"), "{refused}");
            assert!(!refused.to_string().contains("canary"), "{refused}");
        }
        let insecure = Access::default().check(&info("rediss://host/#insecure")).unwrap_err();
        assert!(insecure.is_invalid(), "{insecure}");
    }
}
