//! The daemon's face on D-Bus: one file per interface, which translate and dispatch but decide nothing.

pub mod administration;
pub mod authentication;
pub mod caller;
pub mod enrollment;
pub mod error;
pub mod listener;
pub mod system;
mod wire;
