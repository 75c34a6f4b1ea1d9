//! Owns the way to the SSH agent of whoever runs the host program. It must speak no word with it, and reach nothing that
//! this person could not reach: the variable that names the socket is theirs, as is everything that it can name.
//!
//! In sudo and su the process is root's and its real uid is the caller's. Connecting takes place with the caller's file
//! system ids, of this thread alone (setfsuid(2)): the effective uid of a process is shared, and who has it can be
//! signalled and traced.

use std::{
    env, io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mfad_protocol::AgentTrouble;
use nix::unistd::{Gid, Uid, getgid, getuid, setfsgid, setfsuid};

use crate::{patience::Patience, socket};

const VARIABLE: &str = "SSH_AUTH_SOCK";
/// Longest path of a socket, in bytes (unix(7): 108 with the NUL).
const LONGEST_PATH: usize = 107;
/// How long connecting may take: an agent's queue is seldom full.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether there may be an agent: its variable names a path. Nothing is looked up. Root's own is never asked: a daemon
/// that root started would carry the agent of whoever started it.
pub(crate) fn is_named() -> bool {
    !getuid().is_root() && path().is_some()
}

/// A connection to the agent, by the rights of the process's real user, who must be the one who listens there.
pub(crate) fn connect(deadline: Instant) -> Result<OwnedFd, AgentTrouble> {
    let owner = getuid();
    if owner.is_root() {
        return Err(AgentTrouble::Unset);
    }
    let path = path().ok_or(AgentTrouble::Unset)?;
    let socket = {
        let _theirs = Borrowed::of(owner, getgid()).ok_or(AgentTrouble::Failed)?;
        let until = deadline.min(Instant::now() + PATIENCE);
        socket::dial(&path, &mut Patience::until(until)).map_err(|error| trouble(&error))?
    };
    match socket::peer_uid(&socket) {
        Ok(uid) if uid == owner.as_raw() => Ok(socket),
        Ok(_) => Err(AgentTrouble::Foreign),
        Err(_) => Err(AgentTrouble::Failed),
    }
}

/// The path in the process's environment. sudo answers for the variables that it keeps for the command
/// (`env_keep += "SSH_AUTH_SOCK"`), and for no others.
fn path() -> Option<String> {
    let path = env::var(VARIABLE).ok()?;
    let fit = path.starts_with('/') && path.len() <= LONGEST_PATH;
    fit.then_some(path)
}

fn trouble(error: &io::Error) -> AgentTrouble {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotADirectory => AgentTrouble::Stale,
        io::ErrorKind::PermissionDenied => AgentTrouble::Denied,
        _ => AgentTrouble::Failed,
    }
}

/// This thread's file system ids, somebody else's until this is dropped.
struct Borrowed {
    uid: Uid,
    gid: Gid,
}

impl Borrowed {
    /// `None` if the kernel does not let us; then nothing has changed.
    fn of(uid: Uid, gid: Gid) -> Option<Self> {
        // Made before the first change, so that its drop undoes whatever took effect. Neither call can say that it
        // failed: what a second one returns is what the first has left.
        let before = Self {
            gid: setfsgid(gid),
            uid: setfsuid(uid),
        };
        let took_effect = setfsgid(gid) == gid && setfsuid(uid) == uid;
        took_effect.then_some(before)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_has_a_word() {
        let of = |number| trouble(&io::Error::from_raw_os_error(number));
        assert_eq!(of(libc::ENOENT), AgentTrouble::Stale);
        assert_eq!(of(libc::ECONNREFUSED), AgentTrouble::Stale);
        assert_eq!(of(libc::EACCES), AgentTrouble::Denied);
        assert_eq!(of(libc::EPROTOTYPE), AgentTrouble::Failed);
        assert_eq!(
            trouble(&io::ErrorKind::TimedOut.into()),
            AgentTrouble::Failed
        );
    }

    #[test]
    fn borrowed_ids_are_given_back() {
        let (uid, gid) = (setfsuid(getuid()), setfsgid(getgid()));
        drop(Borrowed::of(getuid(), getgid()).unwrap());
        assert_eq!((setfsuid(uid), setfsgid(gid)), (uid, gid));
    }
}
