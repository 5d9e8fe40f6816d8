//! What any command line, duration or backoff may do to the program; see `src/fuzz.rs` of the
//! library.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use bolero::check;
use clap::Parser as _;
use redeliver::MAX_DELAY;

use crate::args::Cli;
use crate::{backoff, message};

/// Random inputs of each property in one run of the tests.
const ITERATIONS: usize = 500;
/// However slow the machine is, the random inputs of one property take no longer.
const TEST_TIME: Duration = Duration::from_millis(400);

macro_rules! fuzz {
    ($name:literal, $check:path) => {
        check!(name = $name)
            .with_iterations(ITERATIONS)
            .with_test_time(TEST_TIME)
            .for_each(|input: &[u8]| $check(input));
    };
}

#[test]
fn arguments() {
    fuzz!("arguments", any_command_line_is_read_or_refused_by_exit_code_2);
}

#[test]
fn duration() {
    fuzz!("duration", any_duration_is_what_humantime_says);
}

#[test]
fn shown() {
    fuzz!("shown", nothing_that_is_shown_moves_the_cursor);
}

/// One argument for each line, of any bytes but that one.
fn any_command_line_is_read_or_refused_by_exit_code_2(input: &[u8]) {
    let arguments = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    let arguments = std::iter::once(b"redeliver".to_vec()).chain(arguments);
    if let Err(usage) = Cli::try_parse_from(arguments.map(OsString::from_vec)) {
        assert!(!usage.to_string().trim().is_empty());
        let asked = !usage.use_stderr();
        assert_eq!(usage.exit_code(), if asked { 0 } else { 2 });
    }
}

fn any_duration_is_what_humantime_says(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match (backoff::duration(&text), humantime::parse_duration(&text)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours, theirs);
            let written = humantime::format_duration(ours).to_string();
            assert_eq!(backoff::duration(&written), Ok(ours));
        }
        (Err(told), Err(why)) => assert!(told.ends_with(&why.to_string()), "{told}"),
        (ours, theirs) => panic!("{ours:?}, but {theirs:?}"),
    }
    match backoff::parse(&text) {
        Ok(backoff) => assert!((0..70).all(|failure| backoff.delay(failure, 7) <= MAX_DELAY)),
        Err(told) => assert!(told.contains("it takes") || told.contains("duration"), "{told}"),
    }
}

fn nothing_that_is_shown_moves_the_cursor(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let shown = message::visible(&text);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    let is_plain = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    assert!(!is_plain || shown == text);
}
