//! One verb, one script, one file.

pub(crate) mod ack;
pub(crate) mod bury;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod claim;
pub(crate) mod counts;
pub(crate) mod destroy;
pub(crate) mod extend;
pub(crate) mod fence;
pub(crate) mod find;
pub(crate) mod forecast;
pub(crate) mod limit;
pub(crate) mod pause;
pub(crate) mod peek;
pub(crate) mod purge;
pub(crate) mod push;
pub(crate) mod redeliver;
pub(crate) mod redrive;
pub(crate) mod release;
pub(crate) mod repair;
pub(crate) mod reschedule;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod steer;
pub(crate) mod trim;

use crate::script::Script;

/// The script of each verb.
pub(crate) static ALL: [&Script; 25] = [
    &ack::SCRIPT,
    &bury::SCRIPT,
    &cancel::SCRIPT,
    &check::SCRIPT,
    &claim::SCRIPT,
    &counts::SCRIPT,
    &destroy::SCRIPT,
    &extend::SCRIPT,
    &fence::SCRIPT,
    &find::SCRIPT,
    &forecast::SCRIPT,
    &limit::SCRIPT,
    &pause::SCRIPT,
    &peek::SCRIPT,
    &purge::SCRIPT,
    &push::SCRIPT,
    &redeliver::SCRIPT,
    &redrive::SCRIPT,
    &release::SCRIPT,
    &repair::SCRIPT,
    &reschedule::SCRIPT,
    &resume::SCRIPT,
    &retry::SCRIPT,
    &steer::SCRIPT,
    &trim::SCRIPT,
];
