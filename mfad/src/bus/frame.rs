//! How long a D-Bus message is, and how its bytes and descriptors are taken from a socket. It judges neither.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};
use tokio::{io::Interest, net::UnixStream};

/// Length of the fixed part of a D-Bus header: enough to know how long the message is.
pub(super) const FIXED_HEADER: usize = 16;
/// Most descriptors taken from one message: a pidfd, and later an agent's socket.
pub(super) const DESCRIPTORS: usize = 4;

/// The length of the message that a fixed header opens (D-Bus specification, "Message Format").
pub(super) fn announced(fixed: &[u8]) -> Option<usize> {
    let word = |at: usize| -> Option<usize> {
        let bytes: [u8; 4] = fixed.get(at..at + 4)?.try_into().ok()?;
        let value = match fixed.first()? {
            b'l' => u32::from_le_bytes(bytes),
            b'B' => u32::from_be_bytes(bytes),
            _ => return None,
        };
        usize::try_from(value).ok()
    };
    let header = FIXED_HEADER
        .checked_add(word(12)?)?
        .checked_next_multiple_of(8)?;
    header.checked_add(word(4)?)
}

pub(super) fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// Takes what there is of the next `buffer.len()` bytes, waiting for the first.
pub(super) async fn take(
    stream: &UnixStream,
    buffer: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    stream
        .async_io(Interest::READABLE, || receive(stream.as_raw_fd(), buffer))
        .await
}

/// The same without waiting.
pub(super) fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([std::os::fd::RawFd; DESCRIPTORS]);
    let mut vectors = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket, &mut vectors, Some(&mut space), flags)?;
    let length = message.bytes;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just installed these descriptors for this call, and nobody else knows them.
            descriptors.extend(
                raw.into_iter()
                    .map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }),
            );
        }
    }
    Ok((length, descriptors))
}

/// Gives as many of these bytes as the other side takes, waiting until it takes any.
pub(super) async fn give(stream: &UnixStream, buffer: &[u8]) -> io::Result<usize> {
    stream
        .async_io(Interest::WRITABLE, || send(stream.as_raw_fd(), buffer))
        .await
}

/// The same without waiting. It raises no SIGPIPE.
pub(super) fn send(socket: RawFd, buffer: &[u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let none: &[ControlMessage<'_>] = &[];
    let vectors = [IoSlice::new(buffer)];
    Ok(sendmsg::<()>(socket, &vectors, none, flags, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_either_byte_order() {
        let little = [b'l', 1, 0, 1, 10, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0];
        let big = [b'B', 1, 0, 1, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 9];
        for header in [little, big] {
            assert_eq!(announced(&header), Some(32 + 10));
        }
        assert_eq!(announced(b"GET / HTTP/1.1\r\n"), None);
    }
}
