//! The append-only file ends at any byte: what was half written when the power went.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use redeliver::{Counts, Settled};
use tokio::task::JoinSet;

use crate::aof::{Aof, Loader};
use crate::fixture::Fixture;
use crate::{seeded, setting};

/// Cuts at any byte in a run of all tests; beyond the length of the file it is every byte.
const CUTS: u64 = 140;
/// Seams whose neighbours are cut too.
const SEAMS: usize = 20;
/// Cut files with a life after them.
const AGAIN: usize = 8;
/// One for each core of a small machine.
const LOADERS: usize = 2;

/// Where to cut: anywhere, and right around some seams.
fn places(aof: &Aof, random: &mut Rng) -> Vec<usize> {
    let all = 0..=aof.bytes.len();
    let cuts = usize::try_from(setting("REDELIVER_CUTS", CUTS)).unwrap();
    let anywhere = random.choose_multiple(all.clone(), cuts);
    let seams = random.choose_multiple(aof.seams.iter().copied(), SEAMS);
    let around = seams.iter().flat_map(|seam| [seam.saturating_sub(1), *seam, seam + 1]);
    anywhere
        .into_iter()
        .chain(around)
        .filter(|at| all.contains(at))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_law_holds_wherever_the_file_ends() {
    let mut random = seeded();
    let aof = Arc::new(Aof::live(&mut random).await);
    let places = Arc::new(places(&aof, &mut random));
    let (bytes, seams) = (aof.bytes.len(), aof.seams.len());
    eprintln!("{} cuts of {bytes} bytes, {seams} seams", places.len());
    let next = Arc::new(AtomicUsize::new(0));
    let mut loaders = JoinSet::new();
    for _ in 0..LOADERS {
        let mut loader = Loader::new().await;
        let (aof, places, next) = (Arc::clone(&aof), Arc::clone(&places), Arc::clone(&next));
        loaders.spawn(async move {
            while let Some(&at) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                let kept = loader.load(&aof.bytes[..at]);
                let whole = aof.seam(at);
                assert!((whole..=at).contains(&kept), "cut at {at}: {kept} bytes were kept");
                let report = loader.fixture.queue.check(|_| {}).await.unwrap();
                assert!(report.is_clean(), "cut at {at}: {report:?}");
                loader.assert_no_remains();
            }
        });
    }
    loaders.join_all().await;
}

/// Shows that the check sees half a script, and that the transactions are what forbids it.
#[tokio::test]
async fn without_transactions_a_cut_breaks_the_law() {
    let mut random = seeded();
    let mut torn = Aof::live(&mut random).await.torn();
    let mut loader = Loader::new().await;
    random.shuffle(&mut torn.seams);
    for (tries, at) in torn.seams.iter().enumerate() {
        assert_eq!(loader.load(&torn.bytes[..*at]), *at);
        let report = loader.fixture.queue.check(|_| {}).await.unwrap();
        if !report.is_clean() {
            eprintln!("cut {} between the commands of a script broke the law", tries + 1);
            return;
        }
    }
    panic!("no cut between the commands of a script breaks the law");
}

/// What follows the start on a cut file, up to the next start; and whether the law holds then.
async fn holds_after_the_next_start(loader: &mut Loader, bytes: &[u8], rewrite: bool) -> bool {
    loader.load(bytes);
    if rewrite {
        loader.rewrite();
    }
    let fixture = &loader.fixture;
    fixture.push_many(3).await;
    for delivery in fixture.queue.claim(2).await.unwrap() {
        assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
    }
    let before = told(fixture).await;
    loader.restart();
    let clean = loader.fixture.queue.check(|_| {}).await.unwrap().is_clean();
    clean && told(&loader.fixture).await == before
}

/// Who is where, and what ever happened.
async fn told(fixture: &Fixture) -> (Vec<Vec<String>>, Counts) {
    let states = ["ready", "scheduled", "pending", "dead"].map(|state| fixture.ids(state));
    let mut counts = fixture.counts().await;
    counts.now_ms = 0;
    (states.into(), counts)
}

/// A server that starts on a file which ends within a command of a transaction leaves the commands
/// before it there, with the `MULTI` before them; the next transaction ends what it did not begin.
#[tokio::test]
async fn a_rewrite_after_the_start_on_a_cut_file_makes_the_next_start_safe() {
    let mut random = seeded();
    let aof = Aof::live(&mut random).await;
    let mut loader = Loader::new().await;
    let mut unsafe_without = 0;
    for at in random.choose_multiple(0..=aof.bytes.len(), AGAIN) {
        let cut = &aof.bytes[..at];
        let holds = holds_after_the_next_start(&mut loader, cut, true).await;
        assert!(holds, "cut at {at}: the law broke at the start after the rewrite");
        unsafe_without += usize::from(!holds_after_the_next_start(&mut loader, cut, false).await);
    }
    eprintln!("without a rewrite {unsafe_without} of {AGAIN} cut files were read wrongly later");
}
