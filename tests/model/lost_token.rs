//! A reader that dies with the bell's token costs time only: how much, if nothing else happens.

use crate::fixture::TestServer;
use crate::real::{Real, set_up};
use crate::reference::{MAX_IDLE_MS, Model};
use crate::reply::Reply;

const SECOND_US: u64 = 1_000_000;

/// When the bell holds a token again, in µs after it was lost, while one poller comes as it is told
/// and the holder of a message extends its lease of this many ms every second.
fn mended_after(lease: u64) -> Option<u64> {
    let server = TestServer::start(&crate::WHOLE_SCANS);
    set_up(&server, None, |_, text| text);
    let (real, start) = (Real::new(), Model::default().now_us);
    let lease = lease.to_string();
    let call = |verb: &str, argv: &[&str], at: u64| {
        let argv: Vec<_> = argv.iter().map(|arg| (*arg).to_owned()).collect();
        real.call(verb, &argv, start + at)
    };
    call("push", &["held", "0\n\na", "", "0", "waits", "0\n\na", "", "0"], 0);
    call("claim", &["1", "0", &lease], 0);
    assert_eq!(real.command("LPOP", "bell").bell, 0);
    let (mut look, mut extension) = (0, SECOND_US);
    while look < 120 * SECOND_US {
        if extension <= look {
            call("extend", &["held", "1", &lease], extension);
            extension += SECOND_US;
            continue;
        }
        let (reply, after) = call("redeliver", &["250", "poller"], look);
        if after.bell == 1 {
            return Some(look);
        }
        let Reply::Number(wait) = reply.items()[5] else { panic!("{reply:?}") };
        look += u64::try_from(wait).unwrap();
    }
    None
}

#[test]
fn a_lost_token_comes_back_within_the_longest_sleep() {
    for lease in [5001, 30_000] {
        let mended = mended_after(lease);
        assert!(mended.is_some_and(|after| after <= MAX_IDLE_MS * 1000), "{lease}: {mended:?}");
    }
}

#[test]
fn a_lost_token_comes_back_beside_short_leases() {
    let mended = mended_after(3000);
    assert!(mended.is_some_and(|after| after <= MAX_IDLE_MS * 1000), "{mended:?}");
}
