//! The harness of the end-to-end suites: beds to run real login programs in, and the hands that type at them.
//!
//! It knows the product only as its users do, by its files, commands and prompts; it links none of its code.

pub mod bed;
pub mod build;
pub mod cases;
pub mod clock;
pub mod failure;
pub mod host;
pub mod interface;
pub mod mmdb;
pub mod network;
pub mod pty;
pub mod runner;
pub mod ssh;
pub mod totp;

pub use failure::{Failure, Outcome};
