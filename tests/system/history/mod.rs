//! Histories: what every process of a run did, and the verdict on each message.
//!
//! Each process appends to a file of its own before it acts and after it knows the answer, so that
//! a killed one leaves no act unwritten. A claim tells when it happened, by its server, and what a process
//! adds to that is time that has passed, so each `at` is a lower bound. All servers run on one host; where
//! the clock of one is off, its times are noted as the host's clock would have shown them.

pub(crate) mod check;
mod event;
mod judge;
pub(crate) mod lateness;
mod log;
pub(crate) mod pushes;
pub(crate) mod synthetic;
pub(crate) mod times;
pub(crate) mod trouble;
pub(crate) mod turns;

pub(crate) use event::{Answer, Event, How};
pub(crate) use judge::Verdict;
pub(crate) use log::Log;
pub(crate) use trouble::Trouble;
