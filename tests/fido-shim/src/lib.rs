//! The keys of the tests: each a thread that carries reports between a `vkey::Key` and whoever has opened it, as the kernel
//! would; and a client that asks the helper as `mfad` does.

mod desk;
mod question;

pub use desk::{Desk, Key};
pub use question::{Answer, Asking};
