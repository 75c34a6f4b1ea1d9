//! The login sockets: accepts peers, asks the kernel who they are, and serves each its own interface.

use std::{
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixListener,
    },
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::sys::socket::{SockFlag, accept4, getsockopt, sockopt::PeerCredentials};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    guests::{Guest, Guests},
    peer,
    stream::watch,
};
use crate::{
    core::Core,
    session::{Caller, Connection},
};

/// How long to wait when the kernel gives no descriptor for an accepted peer.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

static NEXT_PEER: AtomicU64 = AtomicU64::new(1);

/// Which socket it is, and so whom it serves and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `pam.sock`: hosts that run as root. Others are turned away even if the file's mode should let them in.
    Pam,
    /// `user.sock`: anybody, for their own uid.
    User,
}

impl Door {
    const fn capacity(self) -> usize {
        match self {
            Self::Pam => 176,
            Self::User => 28,
        }
    }

    /// Most connections of one uid. All of root's are one uid's.
    const fn share(self) -> usize {
        match self {
            Self::Pam => self.capacity(),
            Self::User => 4,
        }
    }

    /// Most peers at once that are told that there is no room.
    const fn spare(self) -> usize {
        match self {
            Self::Pam => 16,
            Self::User => 4,
        }
    }
}

/// A listening socket.
pub struct Listener {
    socket: AsyncFd<OwnedFd>,
    door: Door,
    core: Arc<Core>,
    spare: Arc<Semaphore>,
    guests: Arc<Guests>,
    /// Whom the PAM door lets in: root, and in tests the one who runs them.
    owner: u32,
}

impl Listener {
    /// Takes a bound socket. `owner` is whom [`Door::Pam`] lets in.
    pub fn new(
        socket: UnixListener,
        door: Door,
        core: Arc<Core>,
        owner: u32,
    ) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = watch(socket.into(), Interest::READABLE)?;
        let spare = Arc::new(Semaphore::new(door.spare()));
        Ok(Self {
            socket,
            door,
            core,
            spare,
            guests: Guests::of(door.capacity(), door.share()),
            owner,
        })
    }

    /// Accepts until told to stop. Peers that wait in the backlog then are the next daemon's.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                // Also when the sender is gone: nobody is left to serve.
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = self.socket.async_io(Interest::READABLE, accept) => accepted,
            };
            match accepted {
                Ok(peer) => self.admit(peer),
                Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
            }
        }
    }

    /// Serves a peer. Where there are too many hosts of root's, or its uid has enough, it is told so: a login that is hung up on would
    /// count as one without a daemon, which `unreachable=ignore` lets through. Hangs up on who may not come in, and where
    /// too many are being told.
    fn admit(&self, peer: OwnedFd) {
        let Ok(credentials) = getsockopt(&peer, PeerCredentials) else {
            return;
        };
        let uid = credentials.uid();
        if self.door == Door::Pam && uid != 0 && uid != self.owner {
            return;
        }
        let connection = Connection::Peer(NEXT_PEER.fetch_add(1, Ordering::Relaxed));
        let asked = |connection: &Connection| self.core.is_asking(connection);
        let guest = match self.door {
            Door::Pam => self.guests.enter_for_an_idle_one(&connection, asked),
            Door::User => self.guests.enter(uid, &connection, asked),
        };
        let spare = || {
            self.spare
                .clone()
                .try_acquire_owned()
                .ok()
                .map(Place::Spare)
        };
        let Some(place) = guest.map(Place::Guest).or_else(spare) else {
            return;
        };
        // In tests the PAM door's owner stands in for root.
        let uid = if self.door == Door::Pam { 0 } else { uid };
        let caller = Caller { uid, connection };
        tokio::spawn(place.serve(Arc::clone(&self.core), peer, caller));
    }
}

/// What a connection holds as long as it lives.
enum Place {
    Guest(Guest),
    Spare(OwnedSemaphorePermit),
}

impl Place {
    async fn serve(self, core: Arc<Core>, peer: OwnedFd, caller: Caller) {
        match self {
            Self::Guest(mut guest) => {
                let connection = caller.connection.clone();
                tokio::select! {
                    () = peer::serve(Arc::clone(&core), peer, caller, guest.idle()) => {}
                    () = guest.is_asked_to_leave() => core.disconnected(&connection),
                }
            }
            Self::Spare(held) => {
                peer::turn_away(core, peer, caller).await;
                drop(held);
            }
        }
    }
}

/// Not tokio's own: that would watch every peer for room to write too, and wake up whenever it reads.
fn accept(socket: &OwnedFd) -> std::io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let peer = accept4(socket.as_raw_fd(), flags)?;
    // SAFETY: the kernel has just opened it for this call, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(peer) })
}
