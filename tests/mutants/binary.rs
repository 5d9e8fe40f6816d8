//! A copy of a test binary with other scripts in it: their texts are changed where they stand.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::sources::{SOURCES, source};

/// What the tests say of a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// The first test that failed.
    Failed(String),
    TimedOut,
}

#[derive(Debug)]
pub(crate) struct Binary {
    path: PathBuf,
    /// Where the text of each script begins: in the library, and in what the tests send themselves.
    places: BTreeMap<&'static str, Vec<u64>>,
}

/// Builds test binaries as they are now, and says where they are.
pub(crate) fn build(names: &[&str]) -> Vec<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--no-run", "--message-format", "json-render-diagnostics"]);
    command.args(names.iter().flat_map(|name| ["--test", name]));
    // With the features of this one nothing is built anew.
    if cfg!(feature = "otel") {
        command.args(["--features", "otel"]);
    }
    let built = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let told = String::from_utf8(built.stdout).unwrap();
    let messages: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let executable = |name: &&str| {
        let is_it = |message: &&serde_json::Value| {
            message["target"]["name"] == *name && message["executable"].is_string()
        };
        PathBuf::from(messages.iter().find(is_it).unwrap()["executable"].as_str().unwrap())
    };
    names.iter().map(executable).collect()
}

impl Binary {
    pub(crate) fn copy(of: &Path, to: PathBuf) -> Self {
        std::fs::copy(of, &to).unwrap();
        let places = places(&to);
        for (script, _) in SOURCES {
            assert!(places.contains_key(script), "{} does not hold {script}.lua", of.display());
        }
        Self { path: to, places }
    }

    /// Puts a text of the same length in the place of a script's.
    pub(crate) fn put(&self, script: &str, text: &str) {
        assert_eq!(text.len(), source(script).len());
        // A child that was started just before its test was killed may still be on its way.
        let mut file = unless_busy(|| OpenOptions::new().write(true).open(&self.path));
        for place in &self.places[script] {
            file.seek(SeekFrom::Start(*place)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    }

    /// Runs some tests until one fails.
    pub(crate) fn test(&self, args: &[&str], env: &[(&str, &str)], patience: Duration) -> Verdict {
        let mut command = Command::new(&self.path);
        command.args(args).envs(env.iter().copied());
        // Of what is written there, nothing is wanted: what proptest notes of failures, above all.
        command.current_dir(self.path.parent().unwrap());
        // Failures are the rule here, and a trace of each costs more than most tests.
        command.env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // What was just written may still be open in a child that another thread is starting.
        let mut child = unless_busy(|| command.spawn());
        let verdict = verdict(&lines_of(&mut child), Instant::now() + patience);
        child.kill().ok();
        let status = child.wait().unwrap();
        // A binary that ends before it has said anything of its tests has failed as well.
        verdict.unwrap_or_else(|| Verdict::Failed(status.to_string()))
    }
}

/// The lines of its output, as they come.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn verdict(lines: &Receiver<String>, until: Instant) -> Option<Verdict> {
    loop {
        let line = match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Some(Verdict::TimedOut),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        if let Some(failed) = line.strip_suffix(" ... FAILED") {
            return Some(Verdict::Failed(failed.trim_start_matches("test ").to_owned()));
        }
        if line.starts_with("test result: ok") {
            return Some(Verdict::Passed);
        }
    }
}

/// Waits until nobody writes or runs the file.
fn unless_busy<T>(mut act: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match act() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(1));
            }
            done => return done.unwrap(),
        }
    }
}

/// Finds each script by its second line, which is the only one like it.
fn places(path: &Path) -> BTreeMap<&'static str, Vec<u64>> {
    let bytes = std::fs::read(path).unwrap();
    let (mut places, mut at) = (BTreeMap::<_, Vec<_>>::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        for (script, source) in SOURCES {
            let first = source.find('\n').unwrap() + 1;
            if line.len() > 1 && source.as_bytes()[first..].starts_with(line) && at >= first {
                let start = at - first;
                if bytes[start..].starts_with(source.as_bytes()) {
                    places.entry(*script).or_default().push(start as u64);
                }
            }
        }
        at += line.len();
    }
    places
}
