//! All interleavings of the protocol: two messages, two holders and a poller over one queue, where any
//! call may be late, lost or repeated and any caller may die. `server` is what one script does,
//! `state` what there is, `protocol` who calls and what befalls a call, `properties` what has to hold. `explore` looks at every
//! state within bounds, `planted` shows that each promise can be broken, and `replay` walks the model
//! and makes each of its steps on a real server, too.
//!
//! `REDELIVER_INTERLEAVINGS=full` explores more, `REDELIVER_INTERLEAVINGS_SEED` repeats walks.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod explore;
#[path = "../ops/fixture.rs"]
#[expect(dead_code, reason = "the verbs' tests use the rest of it")]
mod fixture;
mod planted;
mod properties;
mod protocol;
#[path = "../model/real.rs"]
#[expect(dead_code, reason = "the random walks over all verbs use the rest of it")]
mod real;
#[path = "../model/reference/mod.rs"]
#[expect(dead_code, reason = "only its snapshot is of use here")]
mod reference;
mod replay;
#[path = "../model/reply.rs"]
mod reply;
mod server;
mod state;
