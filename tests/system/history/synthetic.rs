//! Histories that were made up: every class of verdict is planted a known number of times.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use redeliver::MessageId;

use super::lateness::STEP_MS;
use super::trouble::TROUBLES;
use super::{Answer, Event, How, Log, Trouble, Verdict};

/// Of so many messages one of each class is not as promised, or is allowed but not plain.
const PERIOD: u64 = 1_000;
const LEASE: u64 = 1_000;
const HASH: u64 = 7;
const MAX: u32 = 3;
const BEGIN: u64 = 1_700_000_000_000;
/// Before all others, so that what happens then excuses none of them.
const STEPPED: u64 = BEGIN - 1_000_000;

/// Every verdict that there is.
pub(crate) const PLANTED: [Verdict; 19] = [
    Verdict::Refused,
    Verdict::Duplicate,
    Verdict::Recovered,
    Verdict::AbsentUnknown,
    Verdict::DuplicatedAfterExpiry,
    Verdict::PushedAgain,
    Verdict::Undone,
    Verdict::ClockStepped,
    Verdict::Late,
    Verdict::Lost,
    Verdict::PrematureDead,
    Verdict::OverAttempt,
    Verdict::Early,
    Verdict::Zombie,
    Verdict::Overlap,
    Verdict::StaleAccept,
    Verdict::Phantom,
    Verdict::Corrupt,
    Verdict::Ok,
];

/// What the message of this number is to be judged.
pub(crate) fn verdict(number: u64) -> Verdict {
    let index = usize::try_from(number % PERIOD).unwrap_or(usize::MAX);
    PLANTED.get(index).copied().unwrap_or(Verdict::Ok)
}

/// How many of the first so many messages are to be judged so.
pub(crate) fn planted(messages: u64, wanted: Verdict) -> u64 {
    let in_whole = (0..PERIOD).filter(|number| verdict(*number) == wanted).count() as u64;
    let rest = (0..messages % PERIOD).filter(|number| verdict(*number) == wanted).count() as u64;
    messages / PERIOD * in_whole + rest
}

/// Writes the histories of so many messages, as two processes would: producer and consumer.
pub(crate) fn write(folder: &Path, messages: u64) -> io::Result<()> {
    let troubles = Log::open(&folder.join("clock").with_extension(TROUBLES))?;
    let (from, until, ahead_ms) = (STEPPED + 100, STEPPED + 110, STEP_MS.cast_signed());
    troubles.note(&Trouble::Step { from, until, ahead_ms })?;
    let open = |name| Ok::<_, io::Error>(BufWriter::new(File::create(folder.join(name))?));
    let (mut producer, mut consumer) = (open("producer.ndjson")?, open("consumer.ndjson")?);
    for number in 0..messages {
        for event in story(number)? {
            let file = match event {
                Event::Push { .. } | Event::Pushed { .. } => &mut producer,
                _ => &mut consumer,
            };
            serde_json::to_writer(&mut *file, &event)?;
            file.write_all(b"\n")?;
        }
    }
    producer.flush()?;
    consumer.flush()
}

/// One message in the making.
struct Script {
    id: MessageId,
    now: u64,
    events: Vec<Event>,
}

impl Script {
    fn push(mut self, answer: Option<Answer>) -> Self {
        let (id, at) = (self.id, self.now);
        self.events.push(Event::Push { id, at, delay: 0, max: MAX, hash: HASH });
        self.events.extend(answer.map(|answer| Event::Pushed { id, by: at + 10, answer }));
        self
    }

    fn start(mut self, attempt: u64, after: u64) -> Self {
        let (id, failures, claimed) = (self.id, (attempt - 1).min(2), self.now + after);
        let start = Event::Start { id, attempt, claimed, lease: LEASE, failures, hash: HASH };
        self.events.push(start);
        self
    }

    fn ack(mut self, attempt: u64, claimed_after: u64, after: u64) -> Self {
        let (id, how, claimed, at) =
            (self.id, How::Ack, self.now + claimed_after, self.now + after);
        self.events.push(Event::Settle { id, attempt, claimed, at, how, delay: 0 });
        let answer = Answer::Done;
        self.events.push(Event::Settled { id, attempt, claimed, how, answer });
        self
    }

    fn undone(mut self, after: u64) -> Self {
        let (id, since, gone) = (self.id, self.now + after, true);
        self.events.push(Event::Undone { id, since, gone });
        self
    }

    fn dead(mut self, deliveries: u64) -> Self {
        let (id, failures, hash) = (self.id, deliveries, HASH);
        self.events.push(Event::Dead { id, deliveries, failures, max: MAX, hash });
        self
    }
}

fn story(number: u64) -> io::Result<Vec<Event>> {
    let id: MessageId = format!("{number:026}").parse().map_err(io::Error::other)?;
    let script = Script { id, now: BEGIN + number, events: Vec::new() };
    let done = Some(Answer::Done);
    let script = match verdict(number) {
        Verdict::Ok => script.push(done).start(1, 20).ack(1, 20, 30),
        Verdict::Refused => script.push(Some(Answer::Refused)),
        Verdict::Duplicate => script.push(Some(Answer::Duplicate)),
        Verdict::Recovered => script.push(Some(Answer::Unknown)).start(1, 20).ack(1, 20, 30),
        Verdict::AbsentUnknown => script.push(None),
        Verdict::DuplicatedAfterExpiry => {
            script.push(done).start(1, 20).start(2, 1_050).ack(2, 1_050, 1_060)
        }
        Verdict::PushedAgain => {
            script.push(None).start(1, 20).ack(1, 20, 30).start(1, 40).ack(1, 40, 50)
        }
        Verdict::Undone => script.push(done).undone(5),
        Verdict::ClockStepped => {
            let script = Script { now: STEPPED, ..script };
            script.push(done).start(1, 20).start(2, 500).ack(2, 500, 510)
        }
        Verdict::Late => script.push(done).start(1, 60_000).ack(1, 60_000, 60_010),
        Verdict::Lost => script.push(done).start(1, 20),
        Verdict::PrematureDead => script.push(done).dead(1),
        Verdict::OverAttempt => (1..=4)
            .fold(script.push(done), |script, n| script.start(n, n * 1_050))
            .ack(4, 4_200, 4_210),
        Verdict::Early => {
            let mut script = script.push(done);
            script.now -= 30;
            script.start(1, 20).ack(1, 20, 30)
        }
        Verdict::Zombie => {
            script.push(done).start(1, 20).ack(1, 20, 30).start(2, 1_100).ack(2, 1_100, 1_110)
        }
        Verdict::Overlap => script.push(done).start(1, 20).start(2, 500).ack(2, 500, 510),
        Verdict::StaleAccept => script.push(done).start(1, 20).ack(1, 20, 1_100).start(2, 1_050),
        Verdict::Phantom => script.start(1, 20).ack(1, 20, 30),
        Verdict::Corrupt => {
            let mut script = script.push(done);
            if let Some(Event::Push { hash, .. }) = script.events.first_mut() {
                *hash += 1;
            }
            script.start(1, 20).ack(1, 20, 30)
        }
    };
    Ok(script.events)
}
