//! Stands in for `metrics` where nobody wants any: the same calls, and nothing in them.

#![expect(clippy::unused_self, reason = "the calls of the real one")]

use std::time::Duration;

use crate::name::QueueName;

#[derive(Debug, Clone)]
pub(crate) struct Meter;

impl Meter {
    pub(crate) fn new(_: &QueueName) -> Self {
        Self
    }

    pub(crate) fn pushed(&self, _: &str) {}

    pub(crate) fn unproven(&self, _: usize) {}

    pub(crate) fn settled(&self, _: &str) {}

    pub(crate) fn moved(&self, _: &str, _: u64) {}

    pub(crate) fn handled(&self, _: &Timer) {}

    pub(crate) fn late(&self, _: Duration) {}

    pub(crate) fn batch(&self, _: &str, _: usize) {}

    pub(crate) fn passed(&self) {}
}

pub(crate) fn called(_: &'static str, _: &Timer) {}

pub(crate) fn fault(_: &'static str, _: &'static str) {}

pub(crate) fn connected(_: &'static str) {}

#[derive(Debug)]
pub(crate) struct Timer;

impl Timer {
    pub(crate) fn start() -> Self {
        Self
    }
}
