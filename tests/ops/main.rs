//! One module for each verb, against a real server.

mod ack;
mod fixture;
