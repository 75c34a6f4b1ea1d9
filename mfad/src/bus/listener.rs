//! The login sockets: accepts peers, asks the kernel who they are, and serves each its own interface.

use std::{
    os::unix::net::UnixListener as StdListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mfad_protocol::names;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use zbus::connection::Builder;

use super::{
    authentication::{Authentication, Whence},
    share::{Share, Shares},
    wire::Peer,
};
use crate::{
    core::Core,
    session::{Caller, Connection},
};

/// Longest life of a connection: the longest dialogue that a module may ask for (300 s), and a little.
const LIFETIME: Duration = Duration::from_secs(310);
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
            Self::Pam => 192,
            Self::User => 32,
        }
    }

    /// Most connections of one uid.
    const fn share(self) -> usize {
        match self {
            Self::Pam => self.capacity(),
            Self::User => 4,
        }
    }
}

/// A listening socket.
pub struct Listener {
    socket: UnixListener,
    door: Door,
    core: Arc<Core>,
    slots: Arc<Semaphore>,
    shares: Shares,
    /// Whom the PAM door lets in: root, and in tests the one who runs them.
    owner: u32,
}

impl Listener {
    /// Takes a bound socket. `owner` is whom [`Door::Pam`] lets in.
    pub fn new(
        socket: StdListener,
        door: Door,
        core: Arc<Core>,
        owner: u32,
    ) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = UnixListener::from_std(socket)?;
        let slots = Arc::new(Semaphore::new(door.capacity()));
        Ok(Self {
            socket,
            door,
            core,
            slots,
            shares: Shares::of(door.share()),
            owner,
        })
    }

    /// Accepts until told to stop. Peers that wait in the backlog then are the next daemon's.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                // Also when the sender is gone: nobody is left to serve.
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
            }
        }
    }

    /// Serves a peer, or hangs up: when it may not, when there are too many, or when its uid has enough.
    fn admit(&self, stream: UnixStream) {
        let Ok(credentials) = stream.peer_cred() else {
            return;
        };
        let uid = credentials.uid();
        if self.door == Door::Pam && uid != 0 && uid != self.owner {
            return;
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return;
        };
        let Some(share) = self.shares.take(uid) else {
            return;
        };
        let connection = Connection::Peer(NEXT_PEER.fetch_add(1, Ordering::Relaxed));
        // In tests the PAM door's owner stands in for root.
        let uid = if self.door == Door::Pam { 0 } else { uid };
        let core = Arc::clone(&self.core);
        tokio::spawn(serve(
            core,
            stream,
            Caller { uid, connection },
            (slot, share),
        ));
    }
}

/// What a connection holds as long as it lives.
type Held = (OwnedSemaphorePermit, Share);

/// Serves one peer until it goes away or its time is up.
async fn serve(core: Arc<Core>, stream: UnixStream, caller: Caller, held: Held) {
    let _connected = core.connected();
    let (peer, gone, end) = Peer::new(stream, held);
    let connection = caller.connection.clone();
    let interface = Authentication::new(Arc::clone(&core), Whence::Peer(caller));
    let built = Builder::authenticated_socket(peer, names::PEER_GUID)
        .p2p()
        .serve_at(names::OBJECT, interface)
        .build()
        .await;
    if let Ok(served) = built {
        let _gone_or_late = tokio::time::timeout(LIFETIME, gone).await;
        drop(served);
    }
    drop(end);
    core.disconnected(&connection);
}
