//! A login socket as zbus reads and writes it, with a bound on the size of a message.
//!
//! The D-Bus specification allows messages of 128 MiB, which zbus would allocate as soon as a header announces one;
//! here a header that announces more than [`limits::WIRE_MESSAGE`] ends the connection.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::Arc,
};

use mfad_protocol::limits;
use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};
use tokio::{io::Interest, net::UnixStream, sync::oneshot};
use zbus::{
    connection::socket::{ReadHalf, Socket, Split, WriteHalf},
    export::async_trait::async_trait,
};

/// Length of the fixed part of a D-Bus header: enough to know how long the message is.
const FIXED_HEADER: usize = 16;
/// Most descriptors taken from one message: a pidfd, and later an agent's socket.
const DESCRIPTORS: usize = 4;

/// An accepted connection. Dropping its reading half, which zbus does when the peer is gone, completes `gone`.
#[derive(Debug)]
pub(super) struct Peer {
    stream: UnixStream,
    gone: oneshot::Sender<()>,
}

impl Peer {
    pub(super) fn new(stream: UnixStream) -> (Self, oneshot::Receiver<()>) {
        let (gone, watch) = oneshot::channel();
        (Self { stream, gone }, watch)
    }
}

impl Socket for Peer {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let stream = Arc::new(self.stream);
        let reader = Reader {
            stream: Arc::clone(&stream),
            header: Header::default(),
            _gone: self.gone,
        };
        Split::new(reader, Writer { stream })
    }
}

/// The reading half.
#[derive(Debug)]
pub(super) struct Reader {
    stream: Arc<UnixStream>,
    header: Header,
    _gone: oneshot::Sender<()>,
}

/// Follows the message boundaries of what is read.
#[derive(Debug, Default)]
struct Header {
    fixed: Vec<u8>,
    /// Bytes of the current message that are still to come after its fixed header.
    rest: usize,
}

impl Header {
    /// How many bytes may be read next without passing into another message's header.
    fn next_read(&self) -> usize {
        if self.rest > 0 {
            self.rest
        } else {
            FIXED_HEADER - self.fixed.len()
        }
    }

    /// Takes note of bytes read; an error if they announce too large a message.
    fn follow(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.rest > 0 {
            self.rest = self.rest.saturating_sub(bytes.len());
            return Ok(());
        }
        self.fixed.extend_from_slice(bytes);
        if self.fixed.len() < FIXED_HEADER {
            return Ok(());
        }
        let total = announced(&self.fixed).ok_or_else(|| refused("not a D-Bus message"))?;
        if total > limits::WIRE_MESSAGE {
            return Err(refused("a message over the size limit"));
        }
        self.fixed.clear();
        self.rest = total - FIXED_HEADER;
        Ok(())
    }
}

/// The length of the message that a fixed header opens (D-Bus specification, "Message Format").
fn announced(fixed: &[u8]) -> Option<usize> {
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

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let wanted = buffer.len().min(self.header.next_read());
        let (length, descriptors) = self
            .stream
            .async_io(Interest::READABLE, || {
                receive(&self.stream, &mut buffer[..wanted])
            })
            .await?;
        self.header.follow(&buffer[..length])?;
        Ok((length, descriptors))
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

fn receive(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([std::os::fd::RawFd; DESCRIPTORS]);
    let mut vectors = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut vectors, Some(&mut space), flags)?;
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

/// The writing half.
#[derive(Debug)]
pub(super) struct Writer {
    stream: Arc<UnixStream>,
}

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(
        &mut self,
        buffer: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        // A login step carries no descriptors from the daemon to the module.
        if !descriptors.is_empty() {
            return Err(refused("the daemon sends no descriptors"));
        }
        self.stream
            .async_io(Interest::WRITABLE, || {
                let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
                let none: &[ControlMessage<'_>] = &[];
                Ok(sendmsg::<()>(
                    self.stream.as_raw_fd(),
                    &[IoSlice::new(buffer)],
                    none,
                    flags,
                    None,
                )?)
            })
            .await
    }

    async fn close(&mut self) -> io::Result<()> {
        nix::sys::socket::shutdown(self.stream.as_raw_fd(), nix::sys::socket::Shutdown::Both)?;
        Ok(())
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(endian: u8, body: u32, fields: u32) -> Vec<u8> {
        let word = |value: u32| {
            if endian == b'l' {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            }
        };
        let mut header = vec![endian, 1, 0, 1];
        header.extend(word(body));
        header.extend(word(1));
        header.extend(word(fields));
        header
    }

    #[test]
    fn lengths_are_read_in_either_byte_order() {
        for endian in [b'l', b'B'] {
            assert_eq!(announced(&fixed(endian, 10, 9)), Some(32 + 10));
        }
        assert_eq!(announced(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_by_its_header() {
        let mut header = Header::default();
        assert!(header.follow(&fixed(b'l', 100 << 20, 0)).is_err());
        assert!(
            Header::default()
                .follow(&fixed(b'l', u32::MAX, u32::MAX))
                .is_err()
        );
        assert!(Header::default().follow(&fixed(b'B', 64, 64)).is_ok());
    }

    #[test]
    fn boundaries_are_followed_byte_by_byte() {
        let mut header = Header::default();
        for byte in fixed(b'l', 8, 0) {
            header.follow(&[byte]).unwrap();
        }
        assert_eq!(header.next_read(), 8);
        header.follow(&[0; 8]).unwrap();
        assert_eq!(header.next_read(), FIXED_HEADER);
    }
}
