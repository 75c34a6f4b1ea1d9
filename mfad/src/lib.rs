//! The daemon behind `pam_mfa`: it holds the secrets, decides, and remembers.
//!
//! A library only so that the test suites can drive its parts; the program is `main.rs`.

pub mod audit;
pub mod clock;
pub mod store;
pub mod throttle;
