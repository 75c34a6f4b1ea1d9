//! The console of `pam_mfa`: it asks the daemon over D-Bus and shows what it says. It never opens the store.
//!
//! A library only so that the tests can drive its parts; the program is `main.rs`.

pub mod administration;
pub mod agent;
pub mod audit;
pub mod cli;
pub mod client;
pub mod command;
pub mod demand;
pub mod dialogue;
pub mod doctor;
pub mod enroll;
pub mod expectations;
pub mod explain;
pub mod failure;
mod kernel;
pub mod own;
pub mod pam;
pub mod preset;
pub mod qr;
pub mod reasons;
pub mod render;
pub mod review;
pub mod rules;
pub mod security_key;
pub mod shadow;
pub mod since;
pub mod ssh_agent;
pub mod terminal;
pub mod trust;
