//! A login socket as zbus reads and writes it, with a bound on the size of a message.
//!
//! The D-Bus specification allows messages of 128 MiB, which zbus would allocate as soon as a header announces one;
//! here a header that announces more than [`limits::WIRE_MESSAGE`] ends the connection. And zbus serves every call at once
//! as soon as it is read; here a call is read only when few others of the peer wait for their answers.

use std::{
    fmt::Debug,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mfad_protocol::limits;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::{
    net::UnixStream,
    sync::{Notify, oneshot},
};
use zbus::{
    connection::socket::{ReadHalf, Socket, Split, WriteHalf},
    export::async_trait::async_trait,
};

use super::frame::{FIXED_HEADER, announced, give, refused, take};

/// Most calls of one peer that are read before an answer to them is written. A module has one; who has more waits.
const UNANSWERED: usize = 4;
/// How long a peer may take to read an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// An accepted connection. Dropping its reading half, which zbus does when the peer is gone, completes `gone`.
#[derive(Debug)]
pub(super) struct Peer<T> {
    line: Arc<Line<T>>,
    gone: oneshot::Sender<()>,
}

/// What the two halves share, and what the connection holds (`T`) until the last of them is dropped.
#[derive(Debug)]
struct Line<T> {
    stream: UnixStream,
    unanswered: AtomicUsize,
    broken: AtomicBool,
    /// Somebody should look at the two above again.
    changed: Notify,
    _held: T,
}

impl<T> Line<T> {
    /// Waits until another call may be read.
    async fn room(&self) -> io::Result<()> {
        loop {
            let changed = self.changed.notified();
            if self.broken.load(Ordering::Relaxed) {
                return Err(refused("the peer reads no answers"));
            }
            if self.unanswered.load(Ordering::Relaxed) < UNANSWERED {
                return Ok(());
            }
            changed.await;
        }
    }

    fn answered(&self) {
        let less = |count: usize| Some(count.saturating_sub(1));
        let _one_at_least =
            self.unanswered
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.changed.notify_one();
    }

    fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// Ends a connection whatever its peer does: without it, an answer that the peer does not read would keep it.
pub(super) struct End<T>(Weak<Line<T>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        if let Some(line) = self.0.upgrade() {
            line.give_up();
            // It fails only where the peer has ended the connection already.
            let _ended = shutdown(line.stream.as_raw_fd(), Shutdown::Both);
        }
    }
}

impl<T> Peer<T> {
    /// A connection that holds `held`; what tells when its peer is gone; and what ends it when dropped.
    pub(super) fn new(stream: UnixStream, held: T) -> (Self, oneshot::Receiver<()>, End<T>) {
        let (gone, watch) = oneshot::channel();
        let line = Arc::new(Line {
            stream,
            unanswered: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            changed: Notify::new(),
            _held: held,
        });
        let end = End(Arc::downgrade(&line));
        (Self { line, gone }, watch, end)
    }
}

impl<T: Debug + Send + Sync + 'static> Socket for Peer<T> {
    type ReadHalf = Reader<T>;
    type WriteHalf = Writer<T>;

    fn split(self) -> Split<Reader<T>, Writer<T>> {
        let reader = Reader {
            line: Arc::clone(&self.line),
            header: Header::default(),
            _gone: self.gone,
        };
        Split::new(reader, Writer { line: self.line })
    }
}

/// The reading half.
#[derive(Debug)]
pub(super) struct Reader<T> {
    line: Arc<Line<T>>,
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
    /// Whether what is read next begins a message.
    fn is_between_messages(&self) -> bool {
        self.fixed.is_empty() && self.rest == 0
    }

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

#[async_trait]
impl<T: Debug + Send + Sync + 'static> ReadHalf for Reader<T> {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if self.header.is_between_messages() {
            self.line.room().await?;
        }
        let wanted = buffer.len().min(self.header.next_read());
        let (length, descriptors) = take(&self.line.stream, &mut buffer[..wanted]).await?;
        self.header.follow(&buffer[..length])?;
        if length > 0 && self.header.is_between_messages() {
            self.line.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        Ok((length, descriptors))
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

/// The writing half.
#[derive(Debug)]
pub(super) struct Writer<T> {
    line: Arc<Line<T>>,
}

#[async_trait]
impl<T: Debug + Send + Sync + 'static> WriteHalf for Writer<T> {
    async fn sendmsg(
        &mut self,
        buffer: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        // A login step carries no descriptors from the daemon to the module.
        if !descriptors.is_empty() {
            return Err(refused("the daemon sends no descriptors"));
        }
        let sending = give(&self.line.stream, buffer);
        let sent = tokio::time::timeout(WRITE_PATIENCE, sending)
            .await
            .unwrap_or_else(|_| Err(refused("the peer reads no answers")));
        if sent.is_err() {
            self.line.give_up();
        }
        sent
    }

    /// zbus calls it once a message is written whole.
    async fn flush(&mut self) -> io::Result<()> {
        self.line.answered();
        Ok(())
    }

    async fn close(&mut self) -> io::Result<()> {
        shutdown(self.line.stream.as_raw_fd(), Shutdown::Both)?;
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
