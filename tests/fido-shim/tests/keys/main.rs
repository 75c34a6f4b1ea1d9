//! The helper against keys that behave and keys that do not. What it brings back is judged by the daemon's own code.

mod good;
mod hostile;
mod pins;
mod support;
