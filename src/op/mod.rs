//! One verb, one script, one file.

pub(crate) mod ack;
pub(crate) mod bury;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod claim;
pub(crate) mod counts;
pub(crate) mod destroy;
pub(crate) mod extend;
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
