//! Whole logins through the engine, on a real store: what is granted, what is refused, and what is left behind.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod agent;
mod by_key;
mod crowd;
mod demands;
mod desk;
mod dialogues;
mod enrolled_key;
mod explained;
mod guessing;
mod login_key;
mod own_keys;
mod phases;
mod remembered;
mod rotation;
mod security_key;
mod shadowed;
#[path = "../ssh_agent/signer.rs"]
mod signer;
mod step_up;
mod support;
mod switching;
mod unenrolled;

const REQUIRED: &str = "[unenrolled]\naction = \"deny\"\n";
const ENROLL: &str = "[unenrolled]\naction = \"enroll\"\n";
