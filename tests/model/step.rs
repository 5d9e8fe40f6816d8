//! The steps of a walk, as they are drawn: every message, receipt and moment is named by what it is
//! to the walk ("the second pending one"), so that a step stays meaningful while a case shrinks.

use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::select;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// One of those in this state; a call takes the one after it for its next item.
    In(&'static str, u8),
    /// Any that was ever pushed.
    Any(u8),
    Nobody,
    /// The one before, in the same call.
    Again,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Receipt {
    /// Of one of the pending.
    Right(u8),
    /// Any that was ever handed out.
    Old(u8),
    /// The id of one and the attempt of another.
    Crossed(u8, u8),
    /// Of the delivery to come.
    Early(u8),
    /// The present attempt of any message, held or not.
    Of(Who),
    Again,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// Ms from now.
    In(u64),
    /// The absolute ms that is this far from now.
    At(i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// None = a new id.
    pub(crate) who: Option<Who>,
    pub(crate) max: &'static str,
    pub(crate) size: usize,
    pub(crate) key: &'static str,
    pub(crate) when: When,
}

#[derive(Clone, Debug)]
pub(crate) struct Settling {
    pub(crate) receipt: Receipt,
    pub(crate) failures: u64,
    pub(crate) max: u64,
    pub(crate) history: &'static str,
    pub(crate) ms: u64,
}

/// A moment among the dead, as ms or as an age.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    Always,
    Now,
    /// When one of the dead died, and so many ms later.
    Death(u8, i64),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Push(Vec<Item>),
    Claim {
        limit: u64,
        bytes: u64,
        lease: u64,
    },
    Settle(&'static str, Vec<Settling>),
    Redeliver {
        limit: u64,
        poller: &'static str,
    },
    ById(&'static str, Vec<Who>),
    Reschedule(Vec<(Who, When)>),
    Letters {
        verb: &'static str,
        limit: u64,
        before: Moment,
        named: Vec<Who>,
    },
    /// Expected text, new text, and what is redriven with the swap.
    Steer(&'static str, &'static str, u64, Moment, Vec<Who>),
    Trim {
        limit: u64,
        age: Moment,
        entries: u64,
    },
    /// The cap on ready.
    Limit(&'static str),
    Plain(&'static str),
    Page {
        verb: &'static str,
        state: &'static str,
        start: u64,
        limit: u64,
        bytes: u64,
    },
    CheckOne(&'static str, Who),
    /// By so many microseconds.
    Advance(i64),
    /// To the first time of a state, and so many microseconds further.
    AdvanceTo(&'static str, i64),
    TakeBell,
    TakeAlarm,
    Flush,
    /// An earlier call again, word by word; 0 is the last.
    Replay(u8),
    /// The same with its last argument gone, or made unreadable.
    Spoil(u8, Option<&'static str>),
}

const LIMITS: [u64; 8] = [1, 1, 2, 3, 16, 17, 1000, 1000];
const PLENTY: u64 = 2 * 1024 * 1024;
const BYTES: [u64; 8] = [0, 9, 40, 200, PLENTY, PLENTY, PLENTY, PLENTY];
const TIMES: [u64; 9] = [0, 0, 0, 1, 1000, 4999, 5000, 5001, 60_000];
const LEASES: [u64; 6] = [1, 1000, 4999, 5000, 5001, 30_000];
const OFFSETS: [i64; 7] = [-1000, -1, 0, 1, 1000, 4999, 5000];
const STATES: [&str; 4] = super::reference::STATES;
const PLACES: [&str; 7] = ["ready", "ready", "scheduled", "pending", "dead", "keyed", "attempts"];

fn who() -> impl Strategy<Value = Who> + Clone {
    prop_oneof![
        8 => (select(&STATES[..]), 0..20_u8).prop_map(|(state, index)| Who::In(state, index)),
        2 => any::<u8>().prop_map(Who::Any),
        1 => Just(Who::Nobody),
        1 => Just(Who::Again),
    ]
}

fn receipt() -> impl Strategy<Value = Receipt> + Clone {
    prop_oneof![
        12 => (0..20_u8).prop_map(Receipt::Right),
        3 => any::<u8>().prop_map(Receipt::Old),
        1 => any::<(u8, u8)>().prop_map(|(one, other)| Receipt::Crossed(one, other)),
        1 => (0..20_u8).prop_map(Receipt::Early),
        1 => who().prop_map(Receipt::Of),
        2 => Just(Receipt::Again),
    ]
}

fn when() -> impl Strategy<Value = When> + Clone {
    prop_oneof![
        4 => select(&TIMES[..]).prop_map(When::In),
        1 => select(&OFFSETS[..]).prop_map(When::At),
    ]
}

/// Mostly a few, sometimes more than one page of records.
fn some<S: Strategy + Clone + 'static>(each: S) -> BoxedStrategy<Vec<S::Value>>
where
    S::Value: Clone + 'static,
{
    prop_oneof![9 => vec(each.clone(), 1..5), 1 => vec(each, 5..30)].boxed()
}

fn push() -> impl Strategy<Value = Step> {
    let known = prop_oneof![6 => Just(None), 1 => who().prop_map(Some)];
    let max = select(&["0", "1", "2", "3", "5000000000", "x"][..]);
    let key = select(&["", "", "", "", "a", "b", "c"][..]);
    let item = (known, max, 0..40_usize, key, when());
    let item = item.prop_map(|(who, max, size, key, when)| Item { who, max, size, key, when });
    some(item).prop_map(Step::Push)
}

/// New messages for more than one page of records, all due now.
fn crowd() -> impl Strategy<Value = Step> {
    vec((select(&["1", "2"][..]), 0..40_usize), 17..40).prop_map(|items| {
        let item = |(max, size)| Item { who: None, max, size, key: "", when: When::In(0) };
        Step::Push(items.into_iter().map(item).collect())
    })
}

fn settle(verb: &'static str) -> impl Strategy<Value = Step> {
    let history = select(&["", "", "@1 boom", "x"][..]);
    let times = if verb == "extend" { &LEASES[..] } else { &TIMES[..] };
    let settling = (receipt(), 0..4_u64, 0..4_u64, history, select(times));
    let settling = settling.prop_map(|(receipt, failures, max, history, ms)| Settling {
        receipt,
        failures,
        max,
        history,
        ms,
    });
    some(settling).prop_map(move |items| Step::Settle(verb, items))
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        2 => Just(Moment::Always),
        1 => Just(Moment::Now),
        3 => (0..8_u8, -1..2_i64).prop_map(|(index, later)| Moment::Death(index, later)),
    ]
}

fn letters(verb: &'static str) -> impl Strategy<Value = Step> {
    let dead = prop_oneof![3 => (0..20_u8).prop_map(|at| Who::In("dead", at)), 1 => who()];
    (select(&LIMITS[..]), moment(), prop_oneof![Just(Vec::new()).boxed(), some(dead)])
        .prop_map(move |(limit, before, named)| Step::Letters { verb, limit, before, named })
}

fn steer() -> impl Strategy<Value = Step> {
    let text = select(&["", "a", "b"][..]);
    let dead = prop_oneof![3 => (0..20_u8).prop_map(|at| Who::In("dead", at)), 1 => who()];
    let named = prop_oneof![Just(Vec::new()).boxed(), some(dead)];
    (text.clone(), text, select(&[0, 1, 2, 1000][..]), moment(), named).prop_map(
        |(expected, text, limit, before, named)| Step::Steer(expected, text, limit, before, named),
    )
}

fn page(verb: &'static str) -> impl Strategy<Value = Step> {
    let bounds = (0..6_u64, select(&LIMITS[..]), select(&BYTES[..]));
    let places = if verb == "check" { &PLACES[..] } else { &STATES[..] };
    (select(places), bounds).prop_map(move |(state, (start, limit, bytes))| Step::Page {
        verb,
        state,
        start,
        limit,
        bytes,
    })
}

fn redeliver() -> impl Strategy<Value = Step> {
    let poller = select(&["", "p1", "p2", "p3", "p4", "p5"][..]);
    (select(&LIMITS[..]), poller).prop_map(|(limit, poller)| Step::Redeliver { limit, poller })
}

fn advance() -> impl Strategy<Value = Step> {
    let by = [1, 999, 1000, 500_500, 1_000_000, 5_000_000, 60_000_000, -1000, -1_000_000];
    let over = [-5_000_000, -4_999_000, -1000, -1, 0, 1, 1000, 700_300];
    prop_oneof![
        1 => select(by.to_vec()).prop_map(Step::Advance),
        2 => (select(&STATES[1..3]), select(over.to_vec()))
            .prop_map(|(state, over)| Step::AdvanceTo(state, over)),
    ]
}

fn tend() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => letters("redrive"),
        6 => steer(),
        3 => letters("purge"),
        3 => (select(&LIMITS[..]), moment(), 0..5_u64)
            .prop_map(|(limit, age, entries)| Step::Trim { limit, age, entries }),
    ]
}

fn look() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => page("peek"),
        3 => page("check"),
        2 => (select(&["one", "near"][..]), who())
            .prop_map(|(place, who)| Step::CheckOne(place, who)),
        6 => Just(Step::CheckOne("queue", Who::Nobody)),
        2 => vec(who(), 1..9).prop_map(|ids| Step::ById("repair", ids)),
        9 => Just(Step::Plain("repair")),
        3 => vec(who(), 0..17).prop_map(|ids| Step::ById("find", ids)),
        4 => Just(Step::Plain("counts")),
        1 => select(&["1", "5", "20"][..]).prop_map(Step::Limit),
        2 => select(&["0", "0", ""][..]).prop_map(Step::Limit),
        2 => Just(Step::Plain("pause")),
        5 => Just(Step::Plain("resume")),
        1 => Just(Step::Plain("destroy")),
        2 => Just(Step::Flush),
    ]
}

/// What may come next; calls that would find nothing to do are drawn less often.
pub(crate) fn steps(some_live: bool, some_pending: bool, some_dead: bool) -> BoxedStrategy<Step> {
    let often = |likely: bool, weight: u32| if likely { weight } else { 1 };
    let claim = (select(&LIMITS[..]), select(&BYTES[..]), select(&LEASES[..]));
    prop_oneof![
        often(!some_live, 40) + 12 => push(),
        3 => crowd(),
        often(some_live, 14) => claim
            .prop_map(|(limit, bytes, lease)| Step::Claim { limit, bytes, lease }),
        often(some_pending, 6) => settle("ack"),
        often(some_pending, 9) => settle("retry"),
        often(some_pending, 6) => settle("bury"),
        often(some_pending, 9) => settle("release"),
        often(some_pending, 6) => settle("extend"),
        often(some_live, 14) => redeliver(),
        often(some_live, 4) => some(who()).prop_map(|ids| Step::ById("cancel", ids)),
        often(some_live, 7) => some((who(), when())).prop_map(Step::Reschedule),
        often(some_dead, 12) => tend(),
        9 => look(),
        often(some_live, 16) => advance(),
        3 => Just(Step::TakeBell),
        3 => Just(Step::TakeAlarm),
        8 => prop_oneof![0..4_u8, any::<u8>()].prop_map(Step::Replay),
        3 => (0..8_u8, select(&[None, Some(" 1"), Some("-1 "), Some("@")][..]))
            .prop_map(|(back, last)| Step::Spoil(back, last)),
    ]
    .boxed()
}
