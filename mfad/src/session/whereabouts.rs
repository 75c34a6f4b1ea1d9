//! Where a host program runs: what logind says of its session. Pure; who asks logind is `gather`.

use crate::store::SessionKey;

/// The login session that a host program is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What proofs made in it are kept under: another one after a boot.
    pub key: SessionKey,
    /// logind's name for it, as `loginctl` shows it.
    pub id: String,
    /// Whose it is.
    pub uid: u32,
    /// The seat it is on. A session from afar has none, nor has one of cron.
    pub seat: Option<String>,
    /// Its user came over the network.
    pub remote: bool,
    /// From where, if so: a name or an address.
    pub host: Option<String>,
}

/// What is known of a host program's session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Whereabouts {
    /// Nobody was asked, or nobody could say: no logind, no session (cron, a service), a caller whose word is not taken.
    #[default]
    Unknown,
    /// It is in this session.
    In(Session),
}

impl Whereabouts {
    /// The session, if it is known.
    pub const fn session(&self) -> Option<&Session> {
        match self {
            Self::In(session) => Some(session),
            Self::Unknown => None,
        }
    }

    /// Whether it is a session of `uid` at a seat of this machine.
    pub fn is_at_a_seat(&self, uid: u32) -> bool {
        self.session()
            .is_some_and(|session| session.uid == uid && session.seat.is_some())
    }

    /// What proofs of `uid` in this session are kept under. Somebody else's session (`su`, then `sudo` in it) proves
    /// nothing about them.
    pub fn proofs_of(&self, uid: Option<u32>) -> Option<SessionKey> {
        self.session()
            .filter(|session| Some(session.uid) == uid)
            .map(|session| session.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_proves_nothing_of_anybody_but_its_user() {
        let session = Session {
            key: SessionKey::of("3", 1, 1),
            id: "3".into(),
            uid: 1000,
            seat: None,
            remote: true,
            host: None,
        };
        let key = session.key;
        let inside = Whereabouts::In(session);
        assert_eq!(inside.proofs_of(Some(1000)), Some(key));
        assert_eq!(inside.proofs_of(Some(0)), None);
        assert_eq!(inside.proofs_of(None), None);
        assert_eq!(Whereabouts::Unknown.proofs_of(Some(1000)), None);
    }
}
