//! The console as people and scripts run it: the real program against a mock daemon on a bus of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod administrators;
mod attended;
mod expectations;
mod explanations;
mod mock;
mod program;
mod pty;
mod shadow;
mod trust;
mod users;
