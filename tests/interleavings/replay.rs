//! Traces of the model, each step made on a real server: the scripts have to answer and to leave behind
//! what the model says.
//!
//! A trace is known before it is replayed, so its times can be chosen: step `n` is at second `n`, and a
//! lease lasts until the step that ends it in the trace. No score is rewritten.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;

use stateright::Model as _;

use crate::fixture::TestServer;
use crate::protocol::{Action, Done, Protocol};
use crate::real::{Real, replaced, set_up};
use crate::reference::Snapshot;
use crate::reply::Reply;
use crate::server::{
    Id, Line, MAX_ATTEMPTS, MESSAGES, PUSHED_AT_ONCE, Request, Server, When, Word,
};
use crate::state::{Bounds, State};

/// Walks go deeper than the exploration, so they may have more of everything.
const BOUNDS: Bounds = Bounds { messages: MESSAGES, faults: 3, detours: 3 };
/// A walk has used up its bounds by then.
const STEPS: usize = 60;
const WALKS: u64 = 2000;
const EPOCH_MS: u64 = 1_700_000_000_000;
const STEP_MS: u64 = 1000;
/// Longer than any trace, in ms.
const FOREVER: u64 = 1_000_000_000;
const NAMES: [&str; MESSAGES as usize] = ["a", "b"];
const PROTOCOL: Protocol = Protocol { bounds: BOUNDS, spoil: None, torn_claims: false };

/// What a script can answer, as far as it makes another kind of step.
const KINDS: [(&str, &[&str]); 10] = [
    ("push", &["ready", "scheduled", "duplicate"]),
    ("claim", &["handed", "empty"]),
    ("ack", &["acked", "lost"]),
    ("retry", &["ready", "scheduled", "dead", "lost"]),
    ("release", &["ready", "scheduled", "lost"]),
    ("bury", &["dead", "lost"]),
    ("extend", &["extended", "lost"]),
    ("redeliver", &["promoted", "reclaimed", "died", "nothing"]),
    ("redrive", &["redriven", "nothing"]),
    ("cancel", &["cancelled", "missing"]),
];

type Kind = (&'static str, &'static str);

struct Step {
    action: Action,
    done: Done,
    after: Server,
}

type Trace = Vec<Step>;

fn take(state: &State, action: Action) -> Option<(State, Done)> {
    let mut next = state.clone();
    let done = PROTOCOL.step(&mut next, action)?;
    Some((next, done))
}

fn trace(actions: &[Action]) -> Trace {
    let mut state = PROTOCOL.init_states().remove(0);
    let mut trace = Trace::new();
    for action in actions {
        let (next, done) = take(&state, *action).unwrap();
        state = next;
        trace.push(Step { action: *action, done, after: state.server.clone() });
    }
    trace
}

fn walk(seed: u64) -> Trace {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut state = PROTOCOL.init_states().remove(0);
    let (mut walked, mut actions) = (Trace::new(), Vec::new());
    while walked.len() < STEPS {
        actions.clear();
        PROTOCOL.actions(&state, &mut actions);
        let action = actions[random.usize(..actions.len())];
        // Those who remember nothing would talk all the time.
        if matches!(action, Action::Once(_)) && random.u8(..4) > 0 {
            continue;
        }
        if let Some((next, done)) = take(&state, action) {
            state = next;
            walked.push(Step { action, done, after: state.server.clone() });
        }
    }
    walked
}

fn verb(request: Request) -> &'static str {
    match request {
        Request::Push(_) => "push",
        Request::Claim => "claim",
        Request::Ack(_) => "ack",
        Request::Retry(..) => "retry",
        Request::Release(..) => "release",
        Request::Bury(_) => "bury",
        Request::Extend(_) => "extend",
        Request::Redeliver => "redeliver",
        Request::Redrive(_) => "redrive",
        Request::Cancel(_) => "cancel",
    }
}

fn kinds((request, word): (Request, Word)) -> Vec<Kind> {
    let words = match word {
        Word::Handed(..) => vec!["handed"],
        Word::Redriven(0) | Word::Moved { promoted: 0, reclaimed: 0, died: 0 } => vec!["nothing"],
        Word::Redriven(_) => vec!["redriven"],
        Word::Moved { promoted, reclaimed, died } => {
            let moved = [(promoted, "promoted"), (reclaimed, "reclaimed"), (died, "died")];
            moved.into_iter().filter(|(count, _)| *count > 0).map(|(_, word)| word).collect()
        }
        word => vec![plain(word)],
    };
    words.into_iter().map(|word| (verb(request), word)).collect()
}

fn plain(word: Word) -> &'static str {
    match word {
        Word::Ready => "ready",
        Word::Scheduled => "scheduled",
        Word::Dead => "dead",
        Word::Duplicate => "duplicate",
        Word::Acked => "acked",
        Word::Extended => "extended",
        Word::Lost => "lost",
        Word::Empty => "empty",
        Word::Cancelled => "cancelled",
        Word::Missing => "missing",
        Word::Handed(..) | Word::Moved { .. } | Word::Redriven(_) => panic!("{word:?} is no word"),
    }
}

/// A shortest trace to each kind of step.
fn shortest() -> BTreeMap<Kind, Vec<Action>> {
    let first = PROTOCOL.init_states().remove(0);
    let mut ways = HashMap::from([(first.clone(), Vec::new())]);
    let (mut waiting, mut found) = (VecDeque::from([first]), BTreeMap::new());
    let wanted: usize = KINDS.iter().map(|(_, words)| words.len()).sum();
    let mut actions = Vec::new();
    while found.len() < wanted {
        let state = waiting.pop_front().expect("every kind of step can be reached");
        let way = ways[&state].clone();
        actions.clear();
        PROTOCOL.actions(&state, &mut actions);
        for action in &actions {
            let Some((next, done)) = take(&state, *action) else { continue };
            let longer = [&way[..], &[*action]].concat();
            for kind in done.map(kinds).into_iter().flatten() {
                found.entry(kind).or_insert_with(|| longer.clone());
            }
            ways.entry(next).or_insert_with_key(|next| {
                waiting.push_back(next.clone());
                longer
            });
        }
    }
    found
}

/// When it is at a step, in ms.
fn at(step: usize) -> u64 {
    EPOCH_MS + STEP_MS * step as u64
}

/// Ms from this step until the step at which the time of this message has come, or is set anew.
fn lasts(trace: &Trace, from: usize, id: Id) -> u64 {
    for (step, Step { action, done, after }) in trace.iter().enumerate().skip(from + 1) {
        let comes = matches!(action, Action::LeaseEnds(of) | Action::FallsDue(of) if *of == id);
        let extended =
            matches!(done, Some((Request::Extend(receipt), Word::Extended)) if receipt.id == id);
        if comes || extended {
            return at(step) - at(from);
        }
        if !after.pending.holds(id) && !after.scheduled.holds(id) {
            break;
        }
    }
    FOREVER
}

fn name(id: Id) -> String {
    NAMES[usize::from(id)].to_owned()
}

fn record(id: Id) -> String {
    format!("{MAX_ATTEMPTS}\n\n{}", name(id))
}

fn line(Line { deliveries, failures }: Line) -> String {
    format!("{deliveries} {failures} {MAX_ATTEMPTS}")
}

fn argv(trace: &Trace, step: usize, request: Request, word: Word) -> Vec<String> {
    let lasts = |id| lasts(trace, step, id).to_string();
    let delay = |when, id| if when == When::Now { "0".to_owned() } else { lasts(id) };
    let settling = |spent| {
        let receipt = request.receipt().unwrap();
        let line = line(Line { deliveries: receipt.attempt, failures: receipt.failures + spent });
        vec![name(receipt.id), receipt.attempt.to_string(), line]
    };
    match request {
        Request::Push(id) => {
            let when = if id == PUSHED_AT_ONCE { When::Now } else { When::Later };
            vec![name(id), record(id), String::new(), delay(when, id)]
        }
        Request::Claim => {
            let lease = if let Word::Handed(id, _) = word { lasts(id) } else { "1".to_owned() };
            vec!["1".to_owned(), "1000".to_owned(), lease]
        }
        Request::Ack(receipt) => vec![name(receipt.id), receipt.attempt.to_string()],
        Request::Extend(receipt) => {
            vec![name(receipt.id), receipt.attempt.to_string(), lasts(receipt.id)]
        }
        Request::Bury(_) => settling(1),
        Request::Retry(receipt, when) => [settling(1), vec![delay(when, receipt.id)]].concat(),
        Request::Release(receipt, when) => [settling(0), vec![delay(when, receipt.id)]].concat(),
        Request::Redeliver => vec!["1000".to_owned(), "poller".to_owned()],
        Request::Redrive(id) => vec!["1".to_owned(), at(step).to_string(), name(id)],
        Request::Cancel(id) => vec![name(id)],
    }
}

/// The reply, as far as the model says it.
fn reply(request: Request, word: Word, after: &Server) -> Vec<Reply> {
    match (request, word) {
        (Request::Push(id), Word::Duplicate) => {
            let state = after.state_of(id);
            let told = ["duplicate", NAMES[usize::from(id)], state].map(Reply::text);
            vec![Reply::List(told.to_vec())]
        }
        (_, Word::Moved { promoted, reclaimed, died }) => {
            [promoted, reclaimed, died, 0, 0].map(Reply::number).to_vec()
        }
        (_, Word::Redriven(count)) => {
            vec![Reply::number(count), Reply::number(after.dead.len())]
        }
        (_, Word::Handed(..)) if !after.ready.is_empty() => vec![Reply::text("more")],
        (_, Word::Handed(..)) => vec![Reply::text("empty")],
        (_, word) => vec![Reply::text(plain(word))],
    }
}

/// What was handed out stands behind the word and the deadline.
fn handed(word: Word) -> Vec<Reply> {
    let Word::Handed(id, of) = word else { return Vec::new() };
    let line = if of == Line::default() { String::new() } else { line(of) };
    [name(id), record(id), line].map(Reply::text).to_vec()
}

/// The queue as the model sees it.
fn seen(snapshot: &Snapshot, now: u64) -> Server {
    let id = |name: &String| Id::try_from(NAMES.iter().position(|other| other == name).unwrap());
    let id = |name| id(name).unwrap();
    let mut server = Server { ready: snapshot.ready.iter().map(id).collect(), ..Server::default() };
    let [scheduled, pending, dead] = &snapshot.timed;
    for (set, timed) in [(&mut server.scheduled, scheduled), (&mut server.pending, pending)] {
        for (at, name) in timed {
            if *at <= now { set.comes(id(name)) } else { set.add(id(name)) }
        }
    }
    server.dead = dead.iter().map(|(_, name)| id(name)).collect();
    server.dead.sort_unstable();
    for name in snapshot.messages.keys() {
        server.records[usize::from(id(name))] = true;
    }
    for (name, text) in &snapshot.attempts {
        let numbers: Vec<_> = text.split(' ').map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers[2..], [MAX_ATTEMPTS], "{text}");
        let line = Line { deliveries: numbers[0], failures: numbers[1] };
        server.lines[usize::from(id(name))] = Some(line);
    }
    server
}

/// How many calls were made; or where the server did something else.
fn replay(trace: &Trace) -> Result<usize, String> {
    let real = Real::new();
    let (mut log, mut calls) = (String::new(), 0);
    for (step, Step { done, after, .. }) in trace.iter().enumerate() {
        let Some((request, word)) = *done else { continue };
        let argv = argv(trace, step, request, word);
        write!(log, "\n{step} {} {argv:?}", verb(request)).unwrap();
        let (told, snapshot) = real.call(verb(request), &argv, at(step) * 1000);
        let (expected, got) = (reply(request, word, after), seen(&snapshot, at(step)));
        let behind = told.items().get(2..).unwrap_or_default();
        if !told.items().starts_with(&expected)
            || request == Request::Claim && behind != handed(word)
        {
            return Err(format!("expected {word:?}, answered {told:?} after{log}"));
        }
        if got != *after {
            return Err(format!("expected {after:?}\n     got {got:?} after{log}"));
        }
        calls += 1;
    }
    real.forget();
    Ok(calls)
}

fn walks(seeds: impl Iterator<Item = u64>) -> Result<(), String> {
    let mut times: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut calls = 0;
    for seed in seeds {
        let trace = walk(seed);
        calls += replay(&trace).map_err(|told| format!("seed {seed}: {told}"))?;
        for kind in trace.iter().filter_map(|step| step.done).flat_map(kinds) {
            *times.entry(kind).or_default() += 1;
        }
    }
    report(&format!("{calls} calls, {times:?}"));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the seed and the counts are results")]
fn report(line: &str) {
    println!("{line}");
}

#[test]
fn random_walks_of_the_model_are_what_the_scripts_do() {
    let server = TestServer::start(&[]);
    set_up(&server, None, |_, text| text);
    let seed = std::env::var("REDELIVER_INTERLEAVINGS_SEED").ok().map(|text| text.parse().unwrap());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..u64::MAX - WALKS));
    report(&format!("REDELIVER_INTERLEAVINGS_SEED={seed}"));
    walks(seed..seed + WALKS).unwrap();
}

#[test]
fn a_shortest_trace_to_every_kind_of_step_is_what_the_scripts_do() {
    let server = TestServer::start(&[]);
    set_up(&server, None, |_, text| text);
    let found = shortest();
    for (verb, words) in KINDS {
        for word in words {
            let trace = trace(&found[&(verb, *word)]);
            replay(&trace).unwrap_or_else(|told| panic!("{verb} {word}: {told}"));
        }
    }
}

#[test]
fn a_script_that_does_something_else_is_noticed() {
    let server = TestServer::start(&[]);
    for (verb, from, to) in [
        ("redeliver", "deliveries + 1, failures", "deliveries, failures"),
        ("release", "'LPUSH', READY", "'RPUSH', READY"),
        ("extend", "'XX', 'GT'", "'NX'"),
        ("redrive", "line_of(deliveries, 0,", "line_of(0, 0,"),
        ("claim", "if left > 0 then reply[1] = 'more' end\n", ""),
    ] {
        set_up(
            &server,
            None,
            |script, text| {
                if script == verb { replaced(&text, from, to) } else { text }
            },
        );
        assert!(walks(0..WALKS).is_err(), "{verb} does without {from:?}");
    }
}
