//! How long a D-Bus message is, and how its bytes and descriptors are taken from a socket. It judges neither.

use std::{
    io::{self, IoSlice},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

pub(super) use mfad_protocol::wire::FIXED_HEADER;
use mfad_protocol::wire::extent;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use tokio::{io::Interest, net::UnixStream};

/// Most descriptors taken from one message: a pidfd, and later an agent's socket.
pub(super) const DESCRIPTORS: usize = 4;

/// Bytes of control data that hold so many.
#[allow(clippy::cast_possible_truncation, reason = "a handful of integers")]
// SAFETY: it reckons with its argument, and touches no memory.
const CONTROL: usize =
    unsafe { libc::CMSG_SPACE((DESCRIPTORS * size_of::<RawFd>()) as u32) } as usize;

/// The length of the message that a fixed header opens.
pub(super) fn announced(fixed: &[u8]) -> Option<usize> {
    extent(fixed).map(|(_, end)| end)
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

/// The same without waiting. Of what one piece brings along, at most [`DESCRIPTORS`] are installed here; the kernel closes
/// the rest, and that there was more is no error: it would end the bus's connection, on which others' calls come too.
///
/// Not by `nix`, which refuses a cut list without closing what the kernel has installed of it: a descriptor leaked for
/// each that came, and whoever sends some hundred of them leaves the daemon none to accept anybody with.
pub(super) fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    // Words, since the kernel aligns what it writes.
    let mut control = [0_u64; CONTROL / size_of::<u64>()];
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all zeros is a header that points at nothing.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of_val(&control);
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the header points at a buffer and at room for control data, both of which outlive the call, with their
    // lengths.
    let length = unsafe { libc::recvmsg(socket, &raw mut header, flags) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled the header in, and `control` is still there.
    Ok((length, unsafe { installed(&header) }))
}

/// The descriptors that the kernel has installed for a message.
///
/// # Safety
///
/// `recvmsg(2)` must just have filled the header in, and its control data must still be there.
unsafe fn installed(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel wrote the control data and its length, which these walk by.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while let Some(part) = control.as_ref() {
            if (part.cmsg_level, part.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let data = libc::CMSG_DATA(part).cast::<[u8; size_of::<RawFd>()]>();
                let bytes = part.cmsg_len - (data as usize - control as usize);
                for place in 0..bytes / size_of::<RawFd>() {
                    // New ones, which nobody else knows.
                    let raw = RawFd::from_ne_bytes(data.add(place).read());
                    descriptors.push(OwnedFd::from_raw_fd(raw));
                }
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    descriptors
}

/// Gives as many of these bytes as the other side takes, waiting until it takes any.
pub(super) async fn give(stream: &UnixStream, buffer: &[u8]) -> io::Result<usize> {
    stream
        .async_io(Interest::WRITABLE, || send(stream.as_raw_fd(), [buffer]))
        .await
}

/// The same without waiting, of bytes that stand in several places. It raises no SIGPIPE.
pub(super) fn send<const PARTS: usize>(socket: RawFd, parts: [&[u8]; PARTS]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let none: &[ControlMessage<'_>] = &[];
    let vectors = parts.map(IoSlice::new);
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

    /// Whether nobody holds the writing end of this pipe any more.
    fn is_closed(mut pipe: std::io::PipeReader) -> bool {
        use std::io::Read as _;
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&pipe, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
        matches!(pipe.read(&mut [0]), Ok(0))
    }

    #[test]
    fn of_many_descriptors_few_are_taken_and_none_is_left_open() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        for many in [0, 1, DESCRIPTORS, DESCRIPTORS + 1, 253] {
            let (pipe, writer) = std::io::pipe().unwrap();
            let raw = vec![writer.as_raw_fd(); many];
            let rights = [ControlMessage::ScmRights(&raw)];
            let rights = if many == 0 { &[][..] } else { &rights };
            let data = [IoSlice::new(b"x")];
            sendmsg::<()>(theirs.as_raw_fd(), &data, rights, MsgFlags::empty(), None).unwrap();
            drop(writer);
            let (length, descriptors) = receive(ours.as_raw_fd(), &mut [0; 8]).unwrap();
            assert_eq!((length, descriptors.len()), (1, many.min(DESCRIPTORS)));
            drop(descriptors);
            assert!(is_closed(pipe), "{many}");
        }
        let nothing = receive(ours.as_raw_fd(), &mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert_eq!(receive(ours.as_raw_fd(), &mut [0; 8]).unwrap().0, 0);
    }
}
