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
mod tests {
    use super::*;
    use std::{
        io::Write,
        os::unix::net::{UnixListener, UnixStream},
        time::Duration,
    };

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn prefix(endian: u8, body: u32, fields: u32) -> Vec<u8> {
        let mut bytes = vec![endian, 1, 0, 1];
        let word = |n: u32| {
            if endian == b'l' {
                n.to_le_bytes()
            } else {
                n.to_be_bytes()
            }
        };
        bytes.extend(word(body));
        bytes.extend(word(1));
        bytes.extend(word(fields));
        bytes
    }

    #[test]
    fn the_length_of_a_message_is_read_in_either_byte_order() {
        for endian in [b'l', b'B'] {
            assert_eq!(message_length(&prefix(endian, 8, 0)).unwrap(), 24);
            assert_eq!(message_length(&prefix(endian, 1, 9)).unwrap(), 33);
        }
    }

    #[test]
    fn a_message_larger_than_any_is_refused_before_memory_is_set_aside() {
        let most = u32::try_from(limits::WIRE_MESSAGE - PREFIX).unwrap();
        assert!(message_length(&prefix(b'l', most, 0)).is_ok());
        for (body, fields) in [
            (most + 1, 0),
            (u32::MAX, 0),
            (0, u32::MAX),
            (most, 8),
            (u32::MAX, u32::MAX),
        ] {
            assert!(message_length(&prefix(b'l', body, fields)).is_err());
        }
        assert!(message_length(&prefix(b'x', 0, 0)).is_err());
        assert!(message_length(b"l").is_err());
    }

    #[test]
    fn messages_that_arrive_together_or_in_pieces_are_handed_on_one_by_one() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let runtime = Runtime::new();
        let (mut reader, _writer) = PeerSocket::new(&runtime, ours.into()).split().take();
        let mut first = prefix(b'l', 4, 0);
        first.extend(b"abcd");
        let mut second = prefix(b'l', 2, 0);
        second.extend(b"ef");
        theirs.write_all(&first).unwrap();
        theirs.write_all(&second[..10]).unwrap();
        let mut take = |length: usize| {
            let mut bytes = vec![0; length];
            let mut at = 0;
            while at < length {
                let (count, fds) = runtime
                    .block_on(soon(), reader.recvmsg(&mut bytes[at..]))
                    .unwrap()
                    .unwrap();
                assert!(count > 0 && fds.is_empty());
                at += count;
            }
            bytes
        };
        assert_eq!(take(20), first);
        theirs.write_all(&second[10..]).unwrap();
        assert_eq!(take(18), second);
        drop(theirs);
        let end = runtime
            .block_on(soon(), reader.recvmsg(&mut [0; 16]))
            .unwrap();
        assert_eq!(end.unwrap().0, 0);
    }

    #[test]
    fn connecting_waits_for_room_in_the_queue_and_no_longer_than_the_deadline() {
        let directory = std::env::temp_dir().join(format!("pam_mfa-dial-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("s");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let name = path.to_str().unwrap();
        let mut queued = vec![dial(name, soon()).unwrap()];
        // Fill what the kernel allows, then expect the wait to end at the deadline.
        let start = Instant::now();
        let error = loop {
            match dial(name, Instant::now() + Duration::from_millis(50)) {
                Ok(fd) => queued.push(fd),
                Err(error) => break error,
            }
            assert!(queued.len() < 100);
        };
        assert!(
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
            "{error}"
        );
        assert!(start.elapsed() < Duration::from_secs(2));
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(dial(name, soon()).is_err());
    }

    #[test]
    fn a_socket_that_somebody_else_could_have_made_is_not_root_s() {
        let directory = std::env::temp_dir().join(format!("pam_mfa-owner-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("s");
        let _ = std::fs::remove_file(&path);
        let _listener = UnixListener::bind(&path).unwrap();
        let mode = |bits| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(bits);
            std::fs::set_permissions(&directory, permissions).unwrap();
        };
        let name = path.to_str().unwrap();
        let root = nix::unistd::geteuid().is_root();
        mode(0o755);
        assert_eq!(is_roots(name).unwrap(), root);
        mode(0o775);
        assert!(!is_roots(name).unwrap());
        mode(0o757);
        assert!(!is_roots(name).unwrap());
        mode(0o755);
        let link = directory.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(!is_roots(link.to_str().unwrap()).unwrap());
        assert!(is_roots("/nonexistent/pam.sock").is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
