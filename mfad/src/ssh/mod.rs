//! SSH as far as this daemon speaks it: the wire format, the keys, signatures over more than a login, and an agent's two
//! messages. It knows nobody, and decides nothing.

pub mod agent;
pub mod key;
pub mod sshsig;
pub mod wire;
