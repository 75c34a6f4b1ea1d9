//! An open key: reports out, and those reports in that answer them. What a key says to somebody else, and that it is still
//! waiting, goes no further.

use std::{
    cell::Cell,
    fmt,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// How long a key may take to answer, whatever it says meanwhile: more than any question to it lasts (two minutes, `WAIT_MS` of
/// `mfad_protocol::fido`), whose end the helper minds by itself.
const PATIENCE: Duration = Duration::from_secs(150);

// Packets (CTAP 2.1 §11.2.4 and §11.2.9).
const BROADCAST: [u8; 4] = [0xff; 4];
const INIT: u8 = 0x86;
const KEEPALIVE: u8 = 0xbb;
const ERROR: u8 = 0xbf;
/// Where the nonce of INIT is, in a packet.
const NONCE: std::ops::Range<usize> = 7..15;

/// Why a key could not be asked.
#[derive(Debug)]
pub struct HidError(io::Error);

impl fmt::Display for HidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for HidError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<io::Error> for HidError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// What was asked last.
#[derive(Debug, Clone, Copy)]
struct Asked {
    channel: [u8; 4],
    /// Only of INIT, whose answers all go to one channel.
    nonce: Option<[u8; 8]>,
    until: Instant,
}

impl Asked {
    /// Whether this packet is, or continues, the answer.
    fn answered_by(&self, packet: &[u8]) -> bool {
        let command = packet.get(4).copied();
        packet.starts_with(&self.channel)
            && match self.nonce {
                None => command != Some(KEEPALIVE),
                // What went wrong says not for whom it did.
                Some(_) if command == Some(ERROR) => true,
                Some(nonce) => command == Some(INIT) && packet.get(NONCE) == Some(&nonce),
            }
    }
}

/// An open key.
#[derive(Debug)]
pub struct HidDevice {
    node: File,
    asked: Cell<Option<Asked>>,
}

impl HidDevice {
    /// A key behind this node, where each read brings one report.
    pub(crate) fn over(node: File) -> Self {
        Self {
            node,
            asked: Cell::new(None),
        }
    }

    /// Sends a report, its number first.
    pub fn write(&self, report: &[u8]) -> Result<usize, HidError> {
        // Later packets of a message change nothing: they are of the same channel.
        if let [_, a, b, c, d, command, ..] = *report {
            let packet = &report[1..];
            let channel = [a, b, c, d];
            let nonce = packet
                .get(NONCE)
                .filter(|_| channel == BROADCAST && command == INIT)
                .and_then(|nonce| nonce.try_into().ok());
            self.asked.set(Some(Asked {
                channel,
                nonce,
                until: Instant::now() + PATIENCE,
            }));
        }
        Ok((&self.node).write(report)?)
    }

    /// Waits for the next packet of the answer, which is shorter than `packet` if the key is. An error when the key has gone
    /// or says nothing to the point in time.
    pub fn read(&self, packet: &mut [u8]) -> Result<usize, HidError> {
        let asked = self
            .asked
            .get()
            .ok_or_else(|| io::Error::other("nothing was asked"))?;
        loop {
            self.wait(asked.until)?;
            let length = (&self.node).read(packet)?;
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if packet
                .get(..length)
                .is_some_and(|got| asked.answered_by(got))
            {
                return Ok(length);
            }
        }
    }

    /// Until there is something to read, be it an error.
    fn wait(&self, until: Instant) -> io::Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let milliseconds = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
            let mut watched = [PollFd::new(self.node.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, PollTimeout::from(milliseconds.max(1))) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::{fd::OwnedFd, unix::net::UnixDatagram};

    use super::*;

    const CBOR: u8 = 0x90;
    const MINE: [u8; 4] = [0, 0, 0, 7];
    const FOREIGN: [u8; 4] = [0, 0, 0, 8];

    /// A device, and the key behind it.
    fn pair() -> (HidDevice, UnixDatagram) {
        let (node, key) = UnixDatagram::pair().expect("sockets");
        (HidDevice::over(OwnedFd::from(node).into()), key)
    }

    fn packet(channel: [u8; 4], command: u8, data: &[u8]) -> [u8; 64] {
        let mut packet = [0; 64];
        packet[..4].copy_from_slice(&channel);
        packet[4] = command;
        packet[5..5 + data.len()].copy_from_slice(data);
        packet
    }

    fn ask(device: &HidDevice, packet: [u8; 64]) {
        let report = [&[0], packet.as_slice()].concat();
        assert_eq!(device.write(&report).expect("to write"), 65);
    }

    fn read(device: &HidDevice) -> [u8; 64] {
        let mut packet = [0xee; 64];
        assert_eq!(device.read(&mut packet).expect("an answer"), 64);
        packet
    }

    #[test]
    fn an_answer_is_read_past_keepalives_and_what_is_said_to_others() {
        let (device, key) = pair();
        ask(&device, packet(MINE, CBOR, &[0, 1, 2]));
        let answer = packet(MINE, CBOR, &[0, 80, 0]);
        let more = packet(MINE, 0, &[9]);
        for said in [
            packet(MINE, KEEPALIVE, &[0, 1, 2]),
            packet(FOREIGN, CBOR, &[0, 1, 0]),
            packet(BROADCAST, INIT, &[0, 17, 1]),
            packet(MINE, KEEPALIVE, &[0, 1, 2]),
            answer,
            packet(FOREIGN, 0, &[8]),
            more,
        ] {
            key.send(&said).expect("to be heard");
        }
        assert_eq!(read(&device), answer);
        assert_eq!(read(&device), more);
    }

    #[test]
    fn of_the_answers_to_init_only_the_one_with_the_own_nonce_counts() {
        let (device, key) = pair();
        ask(&device, packet(BROADCAST, INIT, b"\x00\x08mynonce!"));
        let mine = packet(BROADCAST, INIT, b"\x00\x11mynonce!");
        key.send(&packet(BROADCAST, INIT, b"\x00\x11another!"))
            .expect("to be heard");
        key.send(&packet(BROADCAST, CBOR, b"\x00\x11mynonce!"))
            .expect("to be heard");
        key.send(&mine).expect("to be heard");
        assert_eq!(read(&device), mine);
        let busy = packet(BROADCAST, ERROR, &[0, 1, 6]);
        key.send(&busy).expect("to be heard");
        assert_eq!(read(&device), busy);
    }

    #[test]
    fn a_key_that_has_gone_or_is_not_asked_is_an_error() {
        let (device, _key) = pair();
        assert!(device.read(&mut [0; 64]).is_err());
        let (node, key) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let device = HidDevice::over(OwnedFd::from(node).into());
        ask(&device, packet(MINE, CBOR, &[0, 1, 2]));
        drop(key);
        assert!(device.read(&mut [0; 64]).is_err());
    }

    #[test]
    fn silence_and_keepalives_without_end_are_over_at_the_deadline() {
        let (device, key) = pair();
        ask(&device, packet(MINE, CBOR, &[0, 1, 2]));
        for _ in 0..3 {
            key.send(&packet(MINE, KEEPALIVE, &[0, 1, 2]))
                .expect("to be heard");
        }
        let mut asked = device.asked.get().expect("a question");
        asked.until = Instant::now() + Duration::from_millis(30);
        device.asked.set(Some(asked));
        let error = device.read(&mut [0; 64]).expect_err("no answer");
        assert_eq!(error.0.kind(), io::ErrorKind::TimedOut);
        assert!(Instant::now() >= asked.until);
    }
}
