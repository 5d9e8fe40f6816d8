//! What any bytes may do to the parts that read them. `scripts/fuzz.sh` searches; `cargo test`
//! replays what was found, and tries a bounded number of random inputs.
//!
//! Each property stands for more than "no panic": it says what the reading has to give.

use std::time::Duration;

use bolero::check;

use crate::access::Access;
use crate::address::Address;
use crate::attempt::AttemptLine;
use crate::backoff::{Backoff, MAX_DELAY};
use crate::message::{Due, Header, Message, Raw};
use crate::name::{MAX_NAME, MessageId, QueueName};
use crate::policy::Policy;
use crate::record::Record;
use crate::route::Links;

/// Random inputs of each property in one run of the tests.
const ITERATIONS: usize = 2_000;
/// However slow the machine is, the random inputs of one property take no longer.
const TEST_TIME: Duration = Duration::from_millis(400);
/// Where the scripts stop to read numbers exactly.
const MAX_EXACT: u128 = 1 << 53;
/// What a failure adds to the numbers of a line.
const ROOM: u128 = 2;

macro_rules! fuzz {
    ($name:literal, $check:path) => {
        check!(name = $name)
            .with_iterations(ITERATIONS)
            .with_test_time(TEST_TIME)
            .for_each(|input: &[u8]| $check(input));
    };
}

#[test]
fn record() {
    fuzz!("record", any_record_keeps_its_bytes);
}

#[test]
fn message() {
    fuzz!("message", any_message_survives_its_record);
}

#[test]
fn line() {
    fuzz!("line", any_line_reads_as_lua_reads_it_and_survives_writing);
}

#[test]
fn name() {
    fuzz!("name", any_name_is_refused_or_written_as_it_was_read);
}

#[test]
fn url() {
    fuzz!("url", no_password_of_any_url_is_shown);
}

#[test]
fn backoff() {
    fuzz!("backoff", any_backoff_and_delay_keeps_its_bounds);
}

fn any_record_keeps_its_bytes(bytes: &[u8]) {
    let record = Record::parse(bytes.to_vec());
    let parts: Vec<_> = bytes.splitn(3, |byte| *byte == b'\n').collect();
    let max = parts.first().filter(|max| !max.is_empty() && max.iter().all(u8::is_ascii_digit));
    let Ok(Raw(payload)) = record.decode() else {
        assert_eq!(record.payload(), bytes);
        assert_eq!(record.header, Header::default());
        return;
    };
    assert_eq!(payload, parts[2]);
    assert!(max.is_some());
    // Any JSON object is good enough for a header, and nothing else is.
    let json = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(parts[1]);
    assert!(json.is_ok() || parts[1].trim_ascii().first().is_none_or(|first| *first == b'{'));
}

/// The input, cut at its spaces: kind, a header's name and value, backoff; the rest is the payload.
fn any_message_survives_its_record(input: &[u8]) {
    let mut parts = input.splitn(5, |byte| *byte == b' ');
    let mut part = || parts.next().unwrap_or_default();
    let (kind, name, value, backoff) = (part(), part(), part(), part());
    let payload = part().to_vec();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut message = Message::new(Raw(payload.clone()));
    if !kind.is_empty() {
        message = message.kind(text(kind));
    }
    if !name.is_empty() {
        message = message.header(text(name), text(value));
    }
    let backoff = serde_json::from_slice::<Backoff>(backoff).ok();
    if let Some(backoff) = backoff.clone() {
        message = message.retry(backoff);
    }
    let max = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let Ok(prepared) = message.prepare(&Policy::default().max_attempts(max)) else {
        return;
    };
    let record = Record::parse(prepared.record);
    assert_eq!(record.decode::<Raw>().unwrap().0, payload);
    assert_eq!(record.max, max);
    assert_eq!(record.header.kind.unwrap_or_default(), text(kind));
    assert_eq!(record.header.backoff, backoff);
    let kept = record.header.headers.get(&text(name)).cloned();
    assert_eq!(kept, (!name.is_empty()).then(|| text(value)));
}

/// What the pattern `^(%d+) (%d+) (%d+)` of the prelude takes, if it leaves so much room.
fn as_lua_reads(line: &[u8], room: u128) -> Option<[u128; 3]> {
    let mut rest = line;
    let mut numbers = [0; 3];
    for (at, number) in numbers.iter_mut().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b" ")?;
        }
        let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, behind) =
            rest.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
        let add =
            |sum: u128, digit: &u8| sum.saturating_mul(10).saturating_add((digit - b'0').into());
        (*number, rest) = (digits.iter().fold(0, add), behind);
    }
    let sum = numbers.iter().fold(0_u128, |sum, number| sum.saturating_add(*number));
    (sum.saturating_add(room) < MAX_EXACT).then_some(numbers)
}

fn any_line_reads_as_lua_reads_it_and_survives_writing(input: &[u8]) {
    let read = AttemptLine::parse(input);
    let [deliveries, failures, max] = as_lua_reads(input, ROOM).unwrap_or_default();
    assert_eq!((read.deliveries.into(), read.failures.into()), (deliveries, failures));
    let max = u32::try_from(max).unwrap_or(u32::MAX);

    let error = String::from_utf8_lossy(input);
    for line in [read.clone().failed(max, 1, &error), read.clone().released(max)] {
        assert!(!line.contains('\n') && line.len() <= 2048, "{} bytes", line.len());
        let [written, ..] = as_lua_reads(line.as_bytes(), 0).expect("scripts refuse what is not");
        assert_eq!(written, deliveries + 1);
        if as_lua_reads(line.as_bytes(), ROOM).is_none() {
            continue;
        }
        let again = AttemptLine::parse(line.as_bytes());
        assert_eq!(again.deliveries, read.deliveries + 1);
        assert!(again.history.len() <= 8);
        // Written again, only the count of deliveries is another.
        let (_, numbers) = line.split_once(' ').unwrap();
        let rewritten = again.released(max);
        assert_eq!(rewritten.split_once(' ').unwrap().1, numbers);
    }
}

fn any_name_is_refused_or_written_as_it_was_read(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<MessageId>() {
        Ok(id) => assert_eq!(id.to_string(), text),
        Err(error) => assert!(error.to_string().contains("26 characters"), "{error}"),
    }
    match text.parse::<QueueName>() {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert!(name.as_str().len() <= MAX_NAME && !text.contains(['{', '}', '\n', ' ']));
        }
        Err(error) => assert!(error.is_invalid() && error.to_string().len() < 1_000, "{error}"),
    }
}

/// The input is a URL in which `*` stands for the password.
fn no_password_of_any_url_is_shown(input: &[u8]) {
    /// No part of it is what a percent sign and two digits make.
    const CANARY: &str = "QxNzRy";
    let input = String::from_utf8_lossy(input);
    if input.to_lowercase().contains(&CANARY.to_lowercase()) {
        // An engine that reads comparisons puts it elsewhere too, where it may be shown.
        return;
    }
    let url = input.replacen('*', CANARY, 1);
    let shown = match Address::parse(&url, &Access::default()) {
        Err(error) => format!("{error} {error:?}"),
        Ok(address) if address.passwords().iter().any(|it| it.contains(CANARY)) => {
            let links = Links::open(&url, &Access::default()).unwrap();
            format!("{} {links:?} {address:?}", links.address())
        }
        // It stood for a part that is no secret.
        Ok(_) => return,
    };
    assert!(!shown.contains(CANARY), "{url:?}: {shown}");
}

/// The first eight bytes are a duration in ms, the rest is JSON.
fn any_backoff_and_delay_keeps_its_bounds(input: &[u8]) {
    let (first, json) = input.split_at(input.len().min(8));
    let mut bytes = [0; 8];
    bytes[..first.len()].copy_from_slice(first);
    let number = u64::from_le_bytes(bytes);
    let delay = Duration::from_nanos(number).saturating_mul(1 << (number % 30));
    match Due::After(delay).argument() {
        Ok(ms) => {
            let ms: u128 = ms.parse().unwrap();
            assert!(delay <= MAX_DELAY && ms == delay.as_nanos().div_ceil(1_000_000));
        }
        Err(error) => assert!(delay > MAX_DELAY && error.to_string().contains("ten years")),
    }
    let Ok(backoff) = serde_json::from_slice::<Backoff>(json) else {
        return;
    };
    let failure = u32::try_from(number % 100).unwrap();
    let delay = backoff.delay(failure, number);
    assert!(delay <= MAX_DELAY);
    assert_eq!(delay, backoff.delay(failure, number));
    if let Err(error) = backoff.validate() {
        let told = error.to_string();
        assert!(told.contains("ten years") || told.contains("at most 64 delays"), "{told}");
    }
    let written = serde_json::to_vec(&backoff).unwrap();
    assert_eq!(serde_json::from_slice::<Backoff>(&written).unwrap(), backoff);
}
