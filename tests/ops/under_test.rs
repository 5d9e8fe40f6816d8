//! Which server is under test, and the proof that it is this one that answers.

use std::io::Write as _;
use std::process::Command;

/// What the tests start: a name on PATH, or a path.
pub(crate) fn program() -> String {
    std::env::var("REDELIVER_TEST_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// What the program says that it is, such as `valkey 9.1.2`.
pub(crate) fn named() -> String {
    let told = Command::new(program()).arg("--version").output();
    let told = told.unwrap_or_else(|error| panic!("{}: {error}", program()));
    let told = String::from_utf8(told.stdout).unwrap();
    let version = told.split_whitespace().find_map(|word| word.strip_prefix("v="));
    let name = if told.starts_with("Valkey") { "valkey" } else { "redis" };
    format!("{name} {}", version.unwrap_or_else(|| panic!("no version in {told:?}")))
}

/// What a running server says that it is.
pub(crate) fn answering(connection: &mut redis::Connection) -> String {
    let info: String = redis::cmd("INFO").arg("server").query(connection).unwrap();
    let field = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // Valkey keeps a Redis version beside its own, for clients that ask for nothing else.
    let valkey = field("valkey_version:").map(|version| format!("valkey {version}"));
    let redis = || format!("redis {}", field("redis_version:").unwrap());
    valkey.unwrap_or_else(redis)
}

/// Fails unless the server that answers is the one that was named; tells which one it is, also
/// where the output of tests is captured.
pub(crate) fn prove(connection: &mut redis::Connection) {
    let answering = answering(connection);
    assert_eq!(answering, named(), "another server answers than {}", program());
    let told = format!("server under test: {answering}\n");
    std::io::stderr().write_all(told.as_bytes()).unwrap();
}
