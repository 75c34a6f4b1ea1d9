//! Which country an address is in, and where on the globe.

mod place;

pub use place::{Country, Position};
