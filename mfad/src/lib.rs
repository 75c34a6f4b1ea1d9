//! The daemon behind `pam_mfa`: it holds the secrets, decides, and remembers.
//!
//! A library only so that the test suites can drive its parts; the program is `main.rs`. Data flows one way:
//! `main` → `daemon` (wiring) → `bus` (dispatch) → `core`, `engine` → `session`, `management` → `factor` → `store`.

pub mod audit;
pub mod bus;
pub mod clock;
pub mod config;
pub mod core;
pub mod daemon;
pub mod engine;
pub mod enrollment;
pub mod factor;
pub mod failpoint;
mod fairness;
pub mod helper;
pub mod host;
pub mod location;
pub mod logind;
pub mod management;
pub mod people;
mod privilege;
pub mod qr;
pub mod risk;
pub mod rotation;
pub mod session;
pub mod ssh;
pub mod store;
pub mod throttle;
