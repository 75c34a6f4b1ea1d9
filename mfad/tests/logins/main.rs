//! Whole logins through the engine, on a real store: what is granted, what is refused, and what is left behind.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod dialogues;
mod guessing;
mod phases;
mod rotation;
mod support;
mod unenrolled;

const REQUIRED: &str = "[unenrolled]\naction = \"deny\"\n";
const ENROLL: &str = "[unenrolled]\naction = \"enroll\"\n";
