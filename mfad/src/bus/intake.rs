//! The connection to the system bus as zbus reads and writes it, with bounds on what a local user can send here.
//!
//! The bus takes messages of 32 MiB (`max_message_size` of its configuration for the system) from anybody and hands them
//! on, and zbus would keep each whole and serve every call at once. Here a message that is longer than
//! [`limits::WIRE_MESSAGE`] is skipped without being kept, and of the calls only as many are served at a time as
//! [`Admission`] lets in. What is discarded is not answered: the reading half cannot write, and nobody honest sends it.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use mfad_protocol::limits;
use tokio::net::UnixStream;
use zbus::{
    Message,
    connection::socket::{ReadHalf, Socket, Split, WriteHalf},
    export::async_trait::async_trait,
    message::{Flags, Type},
};
use zeroize::Zeroizing;

use super::{
    admission::{Admission, Size},
    frame::{FIXED_HEADER, announced, give, refused, take},
};

/// How much of a message that is skipped is read at once, in bytes.
const SKIPPED_AT_ONCE: usize = 16 * 1024;

/// A connection to the bus.
#[derive(Debug)]
pub(super) struct BusStream(UnixStream);

impl BusStream {
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self(stream)
    }
}

impl Socket for BusStream {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let stream = Arc::new(self.0);
        let admission = Arc::default();
        let reader = Reader {
            stream: Arc::clone(&stream),
            admission: Arc::clone(&admission),
        };
        Split::new(reader, Writer { stream, admission })
    }
}

/// The reading half.
#[derive(Debug)]
pub(super) struct Reader {
    stream: Arc<UnixStream>,
    admission: Arc<Mutex<Admission>>,
}

impl Reader {
    /// The next message that is not too long, as it is on the wire. `early` is what the handshake has read of it.
    async fn next_frame(&self, early: &mut Vec<u8>) -> io::Result<Frame> {
        loop {
            let mut frame = Frame {
                bytes: Zeroizing::new(vec![0; FIXED_HEADER]),
                ..Frame::default()
            };
            self.fill(&mut frame, 0, early).await?;
            let total = announced(&frame.bytes).ok_or_else(|| refused("not a D-Bus message"))?;
            if total <= limits::WIRE_MESSAGE {
                frame.bytes.resize(total, 0);
                self.fill(&mut frame, FIXED_HEADER, early).await?;
                return Ok(frame);
            }
            self.skip(total - FIXED_HEADER, early).await?;
        }
    }

    /// Reads what the frame's bytes from `start` on should be.
    async fn fill(&self, frame: &mut Frame, start: usize, early: &mut Vec<u8>) -> io::Result<()> {
        let known = early.len().min(frame.bytes.len() - start);
        let mut at = start + known;
        for (place, byte) in frame.bytes[start..at].iter_mut().zip(early.drain(..known)) {
            *place = byte;
        }
        while at < frame.bytes.len() {
            let (length, descriptors) = take(&self.stream, &mut frame.bytes[at..]).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            frame.descriptors.extend(descriptors);
            at += length;
        }
        Ok(())
    }

    /// Reads past `length` bytes. Descriptors that come with them are closed.
    async fn skip(&self, length: usize, early: &mut Vec<u8>) -> io::Result<()> {
        let known = early.len().min(length);
        early.drain(..known);
        let mut left = length - known;
        let mut scratch = vec![0; SKIPPED_AT_ONCE];
        while left > 0 {
            let wanted = left.min(scratch.len());
            let (length, _closed) = take(&self.stream, &mut scratch[..wanted]).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= length;
        }
        Ok(())
    }

    /// Whether a message is handed on. Of what is no call, the bus lets in only what was asked for.
    fn admits(&self, message: &Message) -> bool {
        if message.message_type() != Type::MethodCall {
            return true;
        }
        let primary = message.primary_header();
        // Nothing would tell when such a call has been served. The one that is made here, a module's Cancel, is followed
        // by its leaving the bus, which ends its dialogue too.
        if primary.flags().contains(Flags::NO_REPLY_EXPECTED) {
            return false;
        }
        let header = message.header();
        let Some(sender) = header.sender() else {
            return false;
        };
        let mut admission = self
            .admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let size = Size {
            length: message.data().len(),
            descriptors: message.data().fds().len(),
        };
        admission.admit(sender, primary.serial_num().get(), size, Instant::now())
    }
}

#[async_trait]
impl ReadHalf for Reader {
    async fn receive_message(
        &mut self,
        sequence: u64,
        already_received_bytes: &mut Vec<u8>,
        already_received_fds: &mut Vec<OwnedFd>,
    ) -> zbus::Result<Message> {
        // None of ours come before the handshake is over.
        already_received_fds.clear();
        loop {
            let mut frame = self.next_frame(already_received_bytes).await?;
            let (mut no_bytes, mut no_descriptors) = (Vec::new(), Vec::new());
            let parsed = frame
                .receive_message(sequence, &mut no_bytes, &mut no_descriptors)
                .await;
            // The bus checks what it hands on; should it hand on nonsense, others' messages still follow.
            if let Ok(message) = parsed
                && self.admits(&message)
            {
                return Ok(message);
            }
        }
    }

    /// For the handshake.
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        take(&self.stream, buffer).await
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

/// A message that has been read whole, for zbus to parse.
#[derive(Debug, Default)]
struct Frame {
    /// It may hold a code. What zbus makes of it is zbus's.
    bytes: Zeroizing<Vec<u8>>,
    descriptors: Vec<OwnedFd>,
    parsed: usize,
}

#[async_trait]
impl ReadHalf for Frame {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let length = buffer.len().min(self.bytes.len() - self.parsed);
        buffer[..length].copy_from_slice(&self.bytes[self.parsed..][..length]);
        self.parsed += length;
        Ok((length, std::mem::take(&mut self.descriptors)))
    }
}

/// The writing half.
#[derive(Debug)]
pub(super) struct Writer {
    stream: Arc<UnixStream>,
    admission: Arc<Mutex<Admission>>,
}

#[async_trait]
impl WriteHalf for Writer {
    async fn send_message(&mut self, message: &Message) -> zbus::Result<()> {
        let data = message.data();
        let mut sent = 0;
        while sent < data.len() {
            sent += give(&self.stream, &data[sent..]).await?;
        }
        let header = message.header();
        if let (Some(serial), Some(to)) = (header.reply_serial(), header.destination()) {
            let mut admission = self
                .admission
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            admission.answered(to, serial.get());
        }
        Ok(())
    }

    /// For the handshake.
    async fn sendmsg(&mut self, buffer: &[u8], _none: &[BorrowedFd<'_>]) -> io::Result<usize> {
        give(&self.stream, buffer).await
    }

    async fn close(&mut self) -> io::Result<()> {
        let stream = std::os::fd::AsRawFd::as_raw_fd(&*self.stream);
        nix::sys::socket::shutdown(stream, nix::sys::socket::Shutdown::Both)?;
        Ok(())
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}
