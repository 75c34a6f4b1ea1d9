//! Logins in progress: who asks, what is asked of them, and what came of it.
//!
//! Data flows one way: the bus hands in a [`Caller`] and a context; [`facts`] turns them into what is known; `gather`
//! looks up what else the policy asks for, which makes a [`scene`]; [`reliance`] says what may stand in for an answer;
//! [`verdict`] decides how the dialogue is played; [`dialogue`] steps it (pure); [`logins`] runs it against the store.
//! Nothing here knows D-Bus.

mod answering;
pub(crate) mod asking_agent;
mod asking_fido2;
pub mod dialogue;
pub mod enrolling;
mod explaining;
pub mod facts;
pub mod first_factor;
pub mod gather;
pub mod grant;
mod judging;
mod keying;
mod keys;
mod login_key;
pub mod logins;
mod phases;
pub mod registry;
pub mod reliance;
mod remembering;
pub mod running;
pub mod scene;
mod shadowing;
pub mod ssh_keys;
mod subject;
pub mod verdict;
pub(crate) mod waiting;
mod weighing;
pub mod whereabouts;

/// Who is at the other end of a connection, by the kernel's or the bus's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Effective uid when the connection was made.
    pub uid: u32,
    /// Which connection; a dialogue belongs to the one that began it.
    pub connection: Connection,
}

/// Identity of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Connection {
    /// A peer on one of our sockets, numbered as accepted.
    Peer(u64),
    /// A client of the system bus, by its unique name.
    Bus(String),
}

impl Caller {
    /// Whether this is root.
    pub const fn is_root(&self) -> bool {
        self.uid == 0
    }
}
