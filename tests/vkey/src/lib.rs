//! A FIDO2 security key in software: CTAPHID and CTAP 2.1, scripted by orders, able to misbehave. Opens no device and
//! reads no clock: whoever carries its reports (uhid, or a fake hidapi) says what time it is.
//!
//! It protects nothing. Its keys lie in memory, and its PIN can be set by whoever gives it orders.
//!
//! ```
//! use std::time::Duration;
//!
//! let mut key = vkey::Key::new().expect("randomness");
//! key.order("up=delay:3").expect("an order");
//! let mut init = [0; vkey::REPORT];
//! init[..7].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x86, 0, 8]);
//! key.receive(&init, Duration::ZERO);
//! assert_eq!(key.transmit(Duration::ZERO).expect("a reply")[4], 0x86);
//! ```

mod assertion;
mod attestation;
mod authenticator;
mod cbor;
mod cipher;
mod credential;
mod hid;
mod key;
mod making;
mod pin;
mod saved;
mod script;
mod status;

pub use hid::REPORT;
pub use key::{Key, NoKey};
pub use script::BadOrder;
