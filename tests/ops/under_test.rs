//! Which server is under test, and the proof that it is this one that answers.

use std::io::Write as _;
use std::process::Command;

/// What the tests start: a name on PATH or a path, and what stands before the settings, as in
/// `target/debug/redeliver engine`.
pub(crate) fn program() -> Vec<String> {
    let named = std::env::var("REDELIVER_TEST_SERVER");
    let named = named.unwrap_or_else(|_| "redis-server".to_owned());
    named.split_whitespace().map(str::to_owned).collect()
}

/// Whether it is the embedded engine. A test of what only servers have says so and ends.
pub(crate) fn is_embedded() -> bool {
    named().starts_with("embedded ")
}

/// What servers have and the embedded engine has not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Only {
    /// Users, passwords and rights.
    Acl,
    /// `CLIENT PAUSE` and `CLIENT KILL`.
    ClientControl,
    /// `SLOWLOG`.
    SlowLog,
    /// `MONITOR`.
    Monitor,
    /// Files of the form that servers have.
    ServerFiles,
    /// To be another one than the engine, for comparison.
    Difference,
    /// `ZUNIONSTORE` and other commands that no script uses.
    OtherCommands,
}

/// Says on stderr, also where the output of tests is captured, that a test is left out.
pub(crate) fn lacks(what: Only) -> bool {
    let lacks = is_embedded();
    if lacks {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        writeln!(std::io::stderr(), "left out, the engine has no {what:?}: {test}").ok();
    }
    lacks
}

/// What the program says that it is, such as `valkey 9.1.2`.
pub(crate) fn named() -> String {
    let program = program();
    let told = Command::new(&program[0]).args(&program[1..]).arg("--version").output();
    let told = told.unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let told = String::from_utf8(told.stdout).unwrap();
    let version = told.split_whitespace().find_map(|word| word.strip_prefix("v="));
    let name = match told.split_whitespace().next() {
        Some("Valkey") => "valkey",
        Some("redeliver") => "embedded",
        _ => "redis",
    };
    format!("{name} {}", version.unwrap_or_else(|| panic!("no version in {told:?}")))
}

/// What a running server says that it is.
pub(crate) fn answering(connection: &mut redis::Connection) -> String {
    let info: String = redis::cmd("INFO").arg("server").query(connection).unwrap();
    let field = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // Valkey keeps a Redis version beside its own, for clients that ask for nothing else.
    let valkey = field("valkey_version:").map(|version| format!("valkey {version}"));
    let engine = field("redeliver_version:").map(|version| format!("embedded {version}"));
    let redis = || format!("redis {}", field("redis_version:").unwrap());
    valkey.or(engine).unwrap_or_else(redis)
}

/// Fails unless the server that answers is the one that was named; tells which one it is, also
/// where the output of tests is captured.
pub(crate) fn prove(connection: &mut redis::Connection) {
    let answering = answering(connection);
    assert_eq!(answering, named(), "another server answers than {:?}", program());
    // Nobody has to read it.
    writeln!(std::io::stderr(), "server under test: {answering}").ok();
}
