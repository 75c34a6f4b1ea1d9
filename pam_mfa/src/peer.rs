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

use mfad_protocol::{
    limits, names, printable,
    wire::{FIXED_HEADER, Incoming, Outgoing, ROOM, extent},
};
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
use zeroize::Zeroizing;

use crate::{
    patience::Patience,
    runtime::poll_timeout,
    transport::{Failure, malformed},
};

/// A connection to the daemon without a bus in between, whose other end was checked.
#[derive(Debug)]
pub(crate) struct Peer(OwnedFd);

impl Peer {
    /// `fd` is non-blocking.
    pub(crate) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// `room` is that of [`Outgoing::call`].
    pub(crate) fn call<B: Serialize + DynamicType>(
        &self,
        member: &str,
        body: &B,
        room: usize,
        patience: &mut Patience,
    ) -> Result<Incoming, Failure> {
        let call = Outgoing::call(to_daemon(member), body, room).map_err(|e| malformed(&e))?;
        self.send_all(&call, patience).map_err(broken)?;
        let serial = call.serial();
        // It may hold a code, and is not needed any more.
        drop(call);
        loop {
            let bytes = self.receive(patience).map_err(broken)?;
            let answer = Incoming::read(bytes, Vec::new()).map_err(|e| malformed(&e))?;
            // Whatever else a daemon may send one day is not the answer.
            let is_ours = answer.header().reply_serial() == Some(serial);
            match answer.message_type() {
                Type::MethodReturn if is_ours => return Ok(answer),
                // An answer, if not a step: nobody may turn a refusal into "unreachable".
                Type::Error if is_ours => {
                    return Err(Failure::Refused(refusal(&answer)));
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
        if let Ok(call) = Outgoing::call(call, body, ROOM) {
            let _best_effort = self.send_all(&call, &mut Patience::of(Duration::ZERO));
        }
    }

    fn send_all(&self, message: &Outgoing, patience: &mut Patience) -> io::Result<()> {
        let [head, body] = message.parts();
        let descriptors = message.descriptors().iter();
        let raw: Vec<_> = descriptors.map(AsRawFd::as_raw_fd).collect();
        let mut sent = 0;
        while sent < head.len() + body.len() {
            // The descriptors go with the first byte.
            let rights = [ControlMessage::ScmRights(&raw)];
            let with_rights = sent == 0 && !raw.is_empty();
            let control = if with_rights { &rights[..] } else { &[][..] };
            let of_head = sent.min(head.len());
            let rest = [&head[of_head..], &body[sent - of_head..]].map(IoSlice::new);
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
    fn receive(&self, patience: &mut Patience) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut fixed = [0; FIXED_HEADER];
        self.fill(&mut fixed, patience)?;
        let mut bytes = Zeroizing::new(vec![0; message_length(&fixed)?]);
        bytes[..FIXED_HEADER].copy_from_slice(&fixed);
        self.fill(&mut bytes[FIXED_HEADER..], patience)?;
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

/// Length of the message whose first bytes are given.
fn message_length(fixed: &[u8]) -> io::Result<usize> {
    extent(fixed)
        .map(|(_, end)| end)
        .filter(|end| *end <= limits::WIRE_MESSAGE)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What an answer that is an error says.
fn refusal(answer: &Incoming) -> String {
    let header = answer.header();
    let name = header.error_name().map_or("an error", |name| name.as_str());
    let body = answer.body();
    let text: &str = body.deserialize().unwrap_or("no details");
    printable(&format!("{name}: {text}"))
}

#[cfg(test)]
mod tests;
