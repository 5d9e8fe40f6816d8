#![doc = include_str!("../README.md")]
//!
//! # Cargo features
//!
//! - `cli` (default): the `redeliver` program. Library users write `default-features = false`.
//! - `metrics`: counters and histograms through the `metrics` facade, see `redeliver::metrics`. Without
//!   it they cost nothing; `cli` brings it.
//! - `tls` (with `cli`): connections by TLS, `rediss://`, with certificates of your own by `Access`.
//! - `otel`: messages carry the trace that they were pushed in, as `traceparent` and `tracestate` among
//!   their headers, by the propagator that the application has installed for OpenTelemetry. The first
//!   attempt goes on with it; later ones have a link to it.
//! - `embedded` (with `cli`): `embedded`, an engine in this process that runs the same scripts, and
//!   `testing`, a queue in memory for your tests.

mod access;
mod address;
mod agents;
mod ask;
mod attempt;
mod audit;
mod backoff;
mod batch;
mod by_id;
mod claims;
mod connect;
mod context;
mod damage;
mod dead_letters;
mod delivery;
mod drive;
mod durability;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod fault;
#[cfg(test)]
mod fuzz;
mod group;
mod handling;
mod held;
mod keys;
mod lane;
mod lease;
mod link;
mod locate;
mod message;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "unmetered.rs"]
mod metrics;
mod name;
mod news;
mod op;
mod outcome;
mod partition;
mod plan;
mod policy;
mod poller;
mod producer;
mod proven;
mod pushed;
mod queue;
mod reach;
mod record;
mod redrive;
mod redriver;
mod repartition;
mod rights;
mod route;
mod routing;
mod script;
mod scripts;
mod server;
mod serving;
mod shared;
mod simulated;
mod slots;
mod snapshot;
mod spans;
mod spread;
mod store;
mod sweep;
mod task;
#[cfg(feature = "embedded")]
pub mod testing;
mod together;
mod waiter;
mod worker;

pub use access::Access;
pub use attempt::Failure;
pub use audit::{Repaired, Report};
pub use backoff::{Backoff, MAX_DELAY, MAX_DELAYS, Retry};
pub use context::Context;
pub use damage::Damage;
pub use dead_letters::{DeadLetters, Swept};
pub use delivery::{Delivery, Retried, Settled};
pub use drive::Redrive;
pub use durability::{DEFAULT_PROOF_TIMEOUT, Durability, MAX_PROOF_TIMEOUT, MAX_REPLICAS};
pub use error::{Error, Result};
pub use handling::Handler;
pub use message::{Due, Header, MAX_HEADER, Message, Payload, Raw};
pub use name::{MAX_KEY, MAX_NAME, MessageId, QueueName, State};
pub use op::cancel::Cancelled;
pub use op::counts::Counts;
pub use op::forecast::Forecast;
pub use op::limit::Limits;
pub use op::redeliver::Redelivered;
pub use op::reschedule::Rescheduled;
pub use outcome::{IntoOutcome, Outcome};
pub use plan::{MAX_WATCHED, RedriveFilter, RedrivePlan};
pub use policy::{DEFAULT_PAYLOAD_LIMIT, MAX_LEASE, MAX_PAYLOAD, Policy};
pub use poller::Poller;
pub use pushed::Pushed;
pub use queue::Queue;
pub use redriver::Redriver;
pub use repartition::Partitions;
pub use rights::Role;
pub use routing::MAX_PARTITIONS;
pub use scripts::{ServerScript, scripts};
pub use server::Server;
pub use snapshot::{PARTITION_STRIDE, Page, Snapshot};
pub use task::{RedriveState, RedriveTask};
pub use worker::Worker;
