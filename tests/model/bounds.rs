//! Bounds that a walk does not come near, to the millisecond.

use crate::fixture::TestServer;
use crate::real::{Real, set_up};
use crate::reference::Model;
use crate::reply::Reply;

/// The largest whole number below which a Lua number is exact, less one.
const LATEST: u64 = (1 << 53) - 1;

/// The reply of a call on a queue with a pending, a ready and a scheduled message, and whether it
/// left everything as it was.
fn called(verb: &str, argv: &[&str]) -> (Reply, bool) {
    let (real, now_us) = (Real::new(), Model::default().now_us);
    let call = |verb: &str, argv: &[&str]| {
        let argv: Vec<_> = argv.iter().map(|arg| (*arg).to_owned()).collect();
        real.call(verb, &argv, now_us)
    };
    let record = "3\n\na";
    let item = |id, due| [id, record, "", due];
    call("push", &[item("held", "0"), item("ready", "0"), item("waits", "9")].concat());
    call("claim", &["1", "9", "9"]);
    // Of no effect, but for what it tells.
    let (_, before) = call("find", &[]);
    let (reply, after) = call(verb, argv);
    (reply, after == before)
}

#[test]
fn a_time_is_taken_up_to_the_latest_that_is_exact() {
    let server = TestServer::start(&crate::WHOLE_SCANS);
    set_up(&server, None, |_, text| text);
    let now = Model::default().now();
    for over in [0, 1] {
        let (ms, at) = ((LATEST - now + over).to_string(), format!("@{}", LATEST + over));
        let calls: [(&str, &[&str]); 8] = [
            ("push", &["new", "3\n\na", "", &ms]),
            ("push", &["new", "3\n\na", "", &at]),
            ("claim", &["1", "9", &ms]),
            ("extend", &["held", "1", &ms]),
            ("retry", &["held", "1", "1 1 3", &ms]),
            ("release", &["held", "1", "1 0 3", &ms]),
            ("reschedule", &["waits", &ms]),
            ("reschedule", &["waits", &at]),
        ];
        for (verb, argv) in calls {
            let (reply, unchanged) = called(verb, argv);
            let refused = reply == Reply::Fault("BADARG".to_owned());
            assert_eq!((refused, unchanged), (over == 1, over == 1), "{verb} {argv:?}: {reply:?}");
        }
    }
}
