//! Owns the module's sockets: connecting without waiting past a deadline, asking the kernel who is at the other end,
//! and moving D-Bus messages over the peer-to-peer one. It must never read an address from the environment.

use std::{
    fs::symlink_metadata,
    io::{self, IoSlice},
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
    sync::Arc,
    time::Instant,
};

use mfad_protocol::limits;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        socket::{
            AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect,
            getsockopt, recv, sendmsg, setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};
use zbus::{
    connection::socket::{ReadHalf, Socket, Split, WriteHalf},
    export::async_trait::async_trait,
    runtime::{Interest, IoSource},
};

use crate::runtime::{Registration, Runtime};

/// How much is read at once; an ordinary step of a dialogue fits.
const READ: usize = 4096;
/// A D-Bus header up to and with the length of its fields.
const PREFIX: usize = 16;

/// A connected, non-blocking, close-on-exec stream socket.
pub(crate) fn dial(path: &str, deadline: Instant) -> io::Result<OwnedFd> {
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
            wait_for_room(&fd, &address, deadline)?;
            Ok(fd)
        }
        Err(error) => Err(error.into()),
    }
}

/// The listener's queue is full. The kernel queues a blocking connect fairly, and gives up after `SO_SNDTIMEO`.
fn wait_for_room(fd: &OwnedFd, address: &UnixAddr, deadline: Instant) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::empty()))?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // Never zero, which would mean "for ever".
        let micros = i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1);
        let timeout = TimeVal::new(micros / 1_000_000, micros % 1_000_000);
        setsockopt(fd, sockopt::SendTimeout, &timeout)?;
        match connect(fd.as_raw_fd(), address) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
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

/// A connection to the daemon without a bus in between.
#[derive(Debug)]
pub(crate) struct PeerSocket(Registration);

impl PeerSocket {
    pub(crate) fn new(runtime: &Runtime, fd: OwnedFd) -> Self {
        Self(runtime.register(IoSource::from(fd)))
    }
}

impl Socket for PeerSocket {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let io = Arc::new(self.0);
        Split::new(
            Reader {
                io: io.clone(),
                buffer: vec![0; READ],
                start: 0,
                end: 0,
                left: 0,
            },
            Writer(io),
        )
    }
}

/// Reads messages, and refuses one that is larger than any of the protocol before memory is set aside for it.
#[derive(Debug)]
pub(crate) struct Reader {
    io: Arc<Registration>,
    /// What was read and not handed on yet is `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How much of the current message is to be handed on still.
    left: usize,
}

impl Reader {
    const fn held(&self) -> usize {
        self.end - self.start
    }

    /// Reads some more; 0 is the end. `recv` takes no control message: the kernel drops descriptors sent along.
    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let fd = self.io.source().as_raw_fd();
        let free = &mut self.buffer[self.end..];
        let count = self
            .io
            .io(Interest::Readable, || {
                recv(fd, free, MsgFlags::empty()).map_err(io::Error::from)
            })
            .await?;
        self.end += count;
        Ok(count)
    }
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if self.left == 0 {
            while self.held() < PREFIX {
                if self.fill().await? == 0 {
                    return Ok((0, Vec::new()));
                }
            }
            self.left = message_length(&self.buffer[self.start..self.end])?;
        }
        if self.held() == 0 && self.fill().await? == 0 {
            return Ok((0, Vec::new()));
        }
        let count = buffer.len().min(self.held()).min(self.left);
        buffer[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.start += count;
        self.left -= count;
        Ok((count, Vec::new()))
    }

    /// zbus asks this half whether descriptors may be sent.
    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

/// Length of the message whose first bytes are given (D-Bus specification, "Message Format").
fn message_length(prefix: &[u8]) -> io::Result<usize> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let word = |at: usize| -> io::Result<usize> {
        let bytes: [u8; 4] = prefix
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(invalid)?;
        let word = match prefix[0] {
            b'l' => u32::from_le_bytes(bytes),
            b'B' => u32::from_be_bytes(bytes),
            _ => return Err(invalid()),
        };
        usize::try_from(word).map_err(|_| invalid())
    };
    let (body, fields) = (word(4)?, word(12)?);
    if body > limits::WIRE_MESSAGE || fields > limits::WIRE_MESSAGE {
        return Err(invalid());
    }
    let length = (PREFIX + fields).next_multiple_of(8) + body;
    if length > limits::WIRE_MESSAGE {
        return Err(invalid());
    }
    Ok(length)
}

/// Sends messages, and the descriptors that go with them.
#[derive(Debug)]
pub(crate) struct Writer(Arc<Registration>);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let fd = self.0.source().as_raw_fd();
        let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        self.0
            .io(Interest::Writable, || {
                let rights = [ControlMessage::ScmRights(&raw)];
                let control = if raw.is_empty() { &[][..] } else { &rights[..] };
                // Without a signal: SIGPIPE would be the host's.
                sendmsg::<UnixAddr>(
                    fd,
                    &[IoSlice::new(buffer)],
                    control,
                    MsgFlags::MSG_NOSIGNAL,
                    None,
                )
                .map_err(io::Error::from)
            })
            .await
    }

    async fn close(&mut self) -> io::Result<()> {
        // The descriptor closes with its last owner.
        Ok(())
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
