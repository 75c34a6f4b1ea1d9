//! Owns the module's ways to a socket: connecting without waiting for ever, and asking the kernel who is at the
//! other end. It must never read an address from the environment.

use std::{
    fs::symlink_metadata,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        socket::{
            AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket,
            sockopt,
        },
        time::TimeVal,
    },
};

use crate::patience::Patience;

/// A connected, non-blocking, close-on-exec stream socket.
pub(crate) fn dial(path: &str, patience: &mut Patience) -> io::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    let address = UnixAddr::new(path)?;
    match connect(fd.as_raw_fd(), &address) {
        Ok(()) => Ok(fd),
        Err(Errno::EAGAIN) => {
            wait_for_room(&fd, &address, patience)?;
            Ok(fd)
        }
        Err(error) => Err(error.into()),
    }
}

/// The listener's queue is full. The kernel queues a blocking connect fairly, and gives up after `SO_SNDTIMEO`: then the
/// place in the queue is lost, so that it is waited for as long as may be at once.
fn wait_for_room(fd: &OwnedFd, address: &UnixAddr, patience: &mut Patience) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::empty()))?;
    loop {
        let piece = patience.long_piece();
        // Never zero, which would mean "for ever".
        let micros = piece.unwrap_or_default().as_micros();
        let micros = i64::try_from(micros).unwrap_or(i64::MAX).max(1);
        let timeout = TimeVal::new(micros / 1_000_000, micros % 1_000_000);
        setsockopt(fd, sockopt::SendTimeout, &timeout)?;
        let connected = connect(fd.as_raw_fd(), address);
        let interrupted = connected == Err(Errno::EINTR);
        patience.waited(piece.unwrap_or_default(), interrupted);
        match connected {
            Ok(()) => break,
            Err(Errno::EINTR | Errno::EAGAIN) if piece.is_none() => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// The uid of whoever called `listen(2)` on the other end; for a socket that systemd made, systemd's.
pub(crate) fn peer_uid(fd: &OwnedFd) -> io::Result<u32> {
    Ok(getsockopt(fd, sockopt::PeerCredentials)?.uid())
}

/// Whether only root can have put a socket at `path`: its directory is root's and nobody else's to write to, and the
/// socket itself is root's. `/run` above it is root's on every system that runs. Nothing between this check and the
/// connect can change what root alone may change.
pub(crate) fn is_roots(path: &str) -> io::Result<bool> {
    let Some(directory) = Path::new(path).parent() else {
        return Ok(false);
    };
    let directory = symlink_metadata(directory)?;
    let socket = symlink_metadata(path)?;
    Ok(directory.is_dir()
        && directory.uid() == 0
        && directory.mode() & 0o022 == 0
        && socket.file_type().is_socket()
        && socket.uid() == 0)
}

#[cfg(test)]
mod tests;
