//! A login socket's bytes: one whole D-Bus message in, one out, bounded in size and in time. It knows no method.
//!
//! zbus would serve a peer through a connection of its own: two tasks, an object server and its queues, which cost more
//! than the login. Of zbus the messages are used, and nothing else: a module makes one call and waits for its answer.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use mfad_protocol::{
    limits,
    wire::{Incoming, Outgoing},
};
use tokio::io::{Interest, unix::AsyncFd};
use zeroize::Zeroizing;

use super::frame::{DESCRIPTORS, FIXED_HEADER, announced, receive, refused, send};

/// How long a peer may take to read an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// A connected, non-blocking socket.
#[derive(Debug)]
pub(super) struct Stream {
    /// Watched for what comes in only. A socket watched for room too would wake the daemon each time that its peer reads.
    socket: AsyncFd<OwnedFd>,
}

impl Stream {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = watch(socket, Interest::READABLE)?;
        Ok(Self { socket })
    }

    /// The next message; `None` if the peer has left.
    pub(super) async fn receive(&self) -> io::Result<Option<Incoming>> {
        let mut descriptors = Vec::new();
        let mut fixed = [0; FIXED_HEADER];
        if !self.fill(&mut fixed, &mut descriptors).await? {
            return Ok(None);
        }
        let total = announced(&fixed).ok_or_else(|| refused("not a D-Bus message"))?;
        // The specification allows 128 MiB.
        if total > limits::WIRE_MESSAGE {
            return Err(refused("a message over the size limit"));
        }
        let mut bytes = Zeroizing::new(vec![0; total]);
        bytes[..FIXED_HEADER].copy_from_slice(&fixed);
        if !self
            .fill(&mut bytes[FIXED_HEADER..], &mut descriptors)
            .await?
        {
            return Ok(None);
        }
        Incoming::read(bytes, descriptors)
            .map(Some)
            .map_err(|_| refused("not a D-Bus message"))
    }

    /// Fills all of `buffer`, and not a byte more, so that a message's descriptors are its own. `false` at the end.
    async fn fill(&self, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            // Tried before it is waited for: mostly the message is there.
            let received = match receive(self.socket.as_raw_fd(), rest) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let again = |socket: &OwnedFd| receive(socket.as_raw_fd(), rest);
                    self.socket.async_io(Interest::READABLE, again).await
                }
                received => received,
            };
            let (length, came_along) = received?;
            if length == 0 {
                return Ok(false);
            }
            descriptors.extend(came_along);
            // A message in many pieces could bring some with each of them.
            if descriptors.len() > DESCRIPTORS {
                return Err(refused("too many descriptors"));
            }
            filled += length;
        }
        Ok(true)
    }

    /// Returns once the peer has left, or cannot be watched.
    pub(super) async fn is_left(&self) {
        while let Ok(mut ready) = self.socket.readable().await {
            if ready.ready().is_read_closed() {
                return;
            }
            // What it says meanwhile is read later.
            ready.clear_ready();
        }
    }

    /// Sends a message whole. A peer that does not read loses its connection. An answer carries no descriptors.
    pub(super) async fn send(&self, message: &Outgoing) -> io::Result<()> {
        let [head, body] = message.parts();
        let length = head.len() + body.len();
        let mut sent = match send(self.socket.as_raw_fd(), [head, body]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        if sent == length {
            return Ok(());
        }
        // Seldom enough for a second registration with the kernel, which needs a descriptor of its own.
        let writing = watch(
            self.socket.as_fd().try_clone_to_owned()?,
            Interest::WRITABLE,
        )?;
        let all = async {
            while sent < length {
                let of_head = sent.min(head.len());
                let rest = [&head[of_head..], &body[sent - of_head..]];
                sent += writing
                    .async_io(Interest::WRITABLE, |socket| send(socket.as_raw_fd(), rest))
                    .await?;
            }
            Ok(())
        };
        tokio::time::timeout(WRITE_PATIENCE, all)
            .await
            .unwrap_or_else(|_| Err(refused("the peer reads no answers")))
    }
}

/// Has the event loop watch a descriptor for these events and no others.
pub(super) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor lives in the result, open and the same all the time.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream};

    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Stream::new(ours.into()).unwrap(), theirs)
    }

    fn call(body: &str) -> Outgoing {
        Outgoing::call(zbus::Message::method_call("/", "Call"), &(body,), 0).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_message_that_comes_byte_by_byte_is_one_message_and_what_follows_stays() {
        let (stream, mut peer) = pair();
        let (first, second) = (call("first"), call("second"));
        let bytes = [first.parts().concat(), second.parts().concat()].concat();
        let writer = std::thread::spawn(move || {
            for byte in bytes {
                peer.write_all(&[byte]).unwrap();
            }
        });
        for expected in ["first", "second"] {
            let message = stream.receive().await.unwrap().unwrap();
            let contents = message.body();
            let body: &str = contents.deserialize().unwrap();
            assert_eq!(body, expected);
        }
        writer.join().unwrap();
        assert!(stream.receive().await.unwrap().is_none(), "the peer left");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn it_is_told_that_the_peer_has_left_and_what_it_said_before_is_read_all_the_same() {
        let (stream, mut peer) = pair();
        let said = call("first").parts().concat();
        peer.write_all(&said).unwrap();
        let soon = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, stream.is_left()).await.is_err());
        assert!(stream.receive().await.unwrap().is_some());
        peer.write_all(&said).unwrap();
        drop(peer);
        stream.is_left().await;
        assert!(stream.receive().await.unwrap().is_some());
        assert!(stream.receive().await.unwrap().is_none());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_message_over_the_limit_is_refused_by_its_header() {
        let (stream, mut peer) = pair();
        let mut header = [b'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&(100_u32 << 20).to_le_bytes());
        peer.write_all(&header).unwrap();
        assert!(stream.receive().await.is_err());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_larger_than_the_socket_s_room_arrives_whole() {
        use std::io::Read as _;

        let (stream, mut peer) = pair();
        let answer = call(&"x".repeat(4 << 20));
        let bytes = answer.parts().concat();
        let length = bytes.len();
        let reader = std::thread::spawn(move || {
            let mut bytes = vec![0; length];
            peer.read_exact(&mut bytes).map(|()| bytes)
        });
        stream.send(&answer).await.unwrap();
        assert!(reader.join().unwrap().unwrap() == bytes);
    }
}
