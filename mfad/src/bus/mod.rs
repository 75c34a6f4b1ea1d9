//! The daemon's face on D-Bus: one file per interface, which translate and dispatch but decide nothing.

pub mod administration;
mod admission;
pub mod authentication;
pub mod caller;
pub mod enrollment;
pub mod error;
mod frame;
mod guests;
mod intake;
pub mod listener;
mod peer;
mod share;
mod stream;
pub mod system;
