//! The program's own options for the same.

use std::path::Path;
use std::process::{Command, Output};

use crate::authority::Authority;
use crate::certificates::Secured;
use crate::fixture::TestServer;

fn redeliver(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
    command.args(args).env_remove("REDELIVER_URL").env("XDG_CONFIG_HOME", "/nowhere");
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_program_takes_certificates_by_flag_variable_and_file() {
    let Some(secured) = Secured::start("yes") else { return };
    let (url, ca) = (secured.url(), secured.ca.path("ca.pem"));
    let (certificate, key) = secured.ca.sign("client");
    let flags = ["--url", &url, "--tls-ca", text(&ca), "--tls-cert", text(&certificate)];
    let flags = [&flags[..], &["--tls-key", text(&key)]].concat();
    let pushed = redeliver(&[&["push", "q", "x"], &flags[..]].concat()).output().unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    // It has a connection of its own, beside the library's.
    let doctor = redeliver(&[&["doctor", "-o", "json"], &flags[..]].concat()).output().unwrap();
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("\"eviction\""), "{doctor:?}");

    let mut counts = redeliver(&["counts", "q", "--url", &url]);
    counts.env("REDELIVER_TLS_CA", &ca).env("REDELIVER_TLS_CERT", &certificate);
    let counts = counts.env("REDELIVER_TLS_KEY", &key).output().unwrap();
    assert!(counts.status.success(), "{counts:?}");

    let file = secured.ca.path("config.toml");
    let lines = [("tls_ca", &ca), ("tls_cert", &certificate), ("tls_key", &key)];
    let lines = lines.map(|(name, path)| format!("{name} = {:?}\n", text(path)));
    std::fs::write(&file, format!("url = {url:?}\n{}", lines.concat())).unwrap();
    let counts = redeliver(&["counts", "q", "--config", text(&file)]).output().unwrap();
    assert!(counts.status.success(), "{counts:?}");
}

#[test]
fn the_program_names_the_file_that_is_wrong() {
    let Some(secured) = Secured::start("no") else { return };
    let (url, other) = (secured.url(), Authority::new("another").path("ca.pem"));
    let counts = ["counts", "q", "--url", &url, "--tls-ca"];
    let missing = redeliver(&[&counts[..], &[text(&other)]].concat()).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(told(&missing).contains(text(&other)), "{missing:?}");
    let other = Authority::new("another");
    let wrong = redeliver(&[&counts[..], &[text(&other.path("ca.pem"))]].concat());
    let wrong = { wrong }.output().unwrap();
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    assert!(told(&wrong).contains("invalid peer certificate"), "{wrong:?}");
    let half = redeliver(&["counts", "q", "--url", &url, "--tls-cert", "x"]).output().unwrap();
    assert_eq!(half.status.code(), Some(2), "{half:?}");
}

#[test]
fn the_program_takes_its_password_from_a_file_and_never_shows_it() {
    let server = TestServer::start(&[]);
    let mut admin = server.client().get_connection().unwrap();
    let set = ["SET", "requirepass", "canary"];
    redis::cmd("CONFIG").arg(&set).exec(&mut admin).unwrap();
    let file = server.dir().join("password");
    std::fs::write(&file, "canary\n").unwrap();
    let url = server.url();
    let args = ["push", "q", "x", "-vvv", "--url", &url, "--password-file", text(&file)];
    let pushed = redeliver(&args).output().unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    assert!(!format!("{pushed:?}").contains("canary"), "{pushed:?}");
    std::fs::write(&file, "another canary\n").unwrap();
    let denied = redeliver(&args).output().unwrap();
    assert_eq!(denied.status.code(), Some(3), "{denied:?}");
    assert!(told(&denied).contains("--password-file"), "{denied:?}");
    assert!(!format!("{denied:?}").contains("canary"), "{denied:?}");
}
