//! Owns the conversation with the daemon over its own socket: one call, one answer, and an end of patience. It must start nothing
//! that outlives a call, and set no memory aside for a message larger than any of the protocol.
//!
//! zbus makes and reads the messages. A connection of its own would bring queues and tasks to an executor, for three
//! calls, of which none is made before the last was answered.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use mfad_protocol::{limits, names, printable};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
    sys::socket::{ControlMessage, MsgFlags, UnixAddr, recv, sendmsg},
};
use zbus::{
    Message,
    export::serde::Serialize,
    message::{Builder, Flags, Type},
    wire::DynamicType,
};

use crate::{
    ffi,
    patience::Patience,
    runtime::poll_timeout,
    transport::{Failure, malformed},
};

/// A D-Bus header up to and with the length of its fields.
const PREFIX: usize = 16;

/// A connection to the daemon without a bus in between, whose other end was checked.
#[derive(Debug)]
pub(crate) struct Peer(OwnedFd);

impl Peer {
    /// `fd` is non-blocking.
    pub(crate) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(crate) fn call<B: Serialize + DynamicType>(
        &self,
        member: &str,
        body: &B,
        patience: &mut Patience,
    ) -> Result<Message, Failure> {
        let call = to_daemon(member).build(body).map_err(|e| malformed(&e))?;
        self.send_all(&call, patience).map_err(broken)?;
        let serial = call.primary_header().serial_num();
        loop {
            let bytes = self.receive(patience).map_err(broken)?;
            let answer = ffi::message(bytes).map_err(|e| malformed(&e))?;
            // Whatever else a daemon may send one day is not the answer.
            let is_ours = answer.header().reply_serial() == Some(serial);
            match answer.message_type() {
                Type::MethodReturn if is_ours => return Ok(answer),
                // An answer, if not a step: nobody may turn a refusal into "unreachable".
                Type::Error if is_ours => {
                    let error = zbus::Error::from(answer).to_string();
                    return Err(Failure::Refused(printable(&error)));
                }
                _ => {}
            }
            // Asked here too: a daemon that never stops sending must not keep us for ever.
            if patience.piece().is_none() {
                return Err(Failure::Elapsed);
            }
        }
    }

    /// Without a reply there is nothing to wait for but room in the socket, and none is no reason to wait.
    pub(crate) fn send<B: Serialize + DynamicType>(&self, member: &str, body: &B) {
        let call = to_daemon(member).with_flags(Flags::NO_REPLY_EXPECTED);
        if let Ok(call) = call.build(body) {
            let _best_effort = self.send_all(&call, &mut Patience::of(Duration::ZERO));
        }
    }

    fn send_all(&self, message: &Message, patience: &mut Patience) -> io::Result<()> {
        let data = message.data();
        let raw: Vec<_> = data.fds().iter().map(AsRawFd::as_raw_fd).collect();
        let mut sent = 0;
        while sent < data.len() {
            // The descriptors go with the first byte.
            let rights = [ControlMessage::ScmRights(&raw)];
            let with_rights = sent == 0 && !raw.is_empty();
            let control = if with_rights { &rights[..] } else { &[][..] };
            let rest = [IoSlice::new(&data.bytes()[sent..])];
            // Without a signal: SIGPIPE would be the host's.
            let flags = MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<UnixAddr>(self.0.as_raw_fd(), &rest, control, flags, None) {
                Ok(count) => sent += count,
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT, patience)?,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next message. No control message is taken: the kernel drops descriptors sent along.
    fn receive(&self, patience: &mut Patience) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; PREFIX];
        self.fill(&mut bytes, patience)?;
        let length = message_length(&bytes)?;
        bytes.resize(length, 0);
        self.fill(&mut bytes[PREFIX..], patience)?;
        Ok(bytes)
    }

    fn fill(&self, buffer: &mut [u8], patience: &mut Patience) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match recv(self.0.as_raw_fd(), &mut buffer[filled..], MsgFlags::empty()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLIN, patience)?,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sleeps until the socket is ready, or no patience is left, which is an error if nothing has come by then.
    fn wait(&self, flags: PollFlags, patience: &mut Patience) -> io::Result<()> {
        loop {
            let piece = patience.piece();
            match poll(
                &mut [PollFd::new(self.0.as_fd(), flags)],
                poll_timeout(piece.unwrap_or_default()),
            ) {
                Ok(0) | Err(Errno::EINTR) if piece.is_none() => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn to_daemon(member: &str) -> Builder<'_> {
    Message::method_call(names::OBJECT, member).interface(names::AUTHENTICATION)
}

fn broken(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => Failure::Elapsed,
        io::ErrorKind::InvalidData => Failure::Malformed("not a message of the protocol".into()),
        _ => Failure::Unreachable(error.to_string()),
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

#[cfg(test)]
mod tests;
