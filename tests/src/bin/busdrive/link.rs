//! A connection to a bus, or to the daemon itself. It sends and receives whole messages within a deadline, and judges none.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::json;

use crate::wire::{self, Call, Received};

/// How long the other side may take for anything, its activation included.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest message that is read, in bytes.
const LONGEST: usize = 16 << 20;

/// Where to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To<'a> {
    /// A bus, which the daemon is on.
    Bus(&'a str),
    /// A socket of the daemon's.
    Peer(&'a str),
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    serial: u32,
}

impl Link {
    /// Connects; on a bus, says who we are and takes a name.
    pub(crate) fn open(to: To<'_>) -> io::Result<Self> {
        let (To::Bus(path) | To::Peer(path)) = to;
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut link = Self { stream, serial: 0 };
        if matches!(to, To::Bus(_)) {
            link.introduce()?;
        }
        Ok(link)
    }

    /// D-Bus specification, "Authentication Protocol": EXTERNAL, where the kernel says who we are.
    fn introduce(&mut self) -> io::Result<()> {
        let uid = nix::unistd::geteuid().to_string();
        // A digit's code in hexadecimal is a 3 and the digit.
        let hex: String = uid.chars().flat_map(|digit| ['3', digit]).collect();
        write!(self.stream, "\0AUTH EXTERNAL {hex}\r\n")?;
        let mut answer = String::new();
        // Nothing follows the line before BEGIN, so the reader takes no more than it.
        BufReader::new(&self.stream).read_line(&mut answer)?;
        if !answer.starts_with("OK ") {
            return Err(io::Error::other(format!("the bus says {answer:?}")));
        }
        self.stream.write_all(b"BEGIN\r\n")?;
        let hello = Call {
            destination: Some("org.freedesktop.DBus".to_owned()),
            path: "/org/freedesktop/DBus".to_owned(),
            interface: "org.freedesktop.DBus".to_owned(),
            member: "Hello".to_owned(),
            signature: String::new(),
            arguments: Vec::new(),
        };
        self.call(&hello).map(drop)
    }

    /// Sends a call and waits for what answers it.
    pub(crate) fn call(&mut self, call: &Call) -> io::Result<Received> {
        let serial = self.send(call)?;
        loop {
            let received = self.receive()?;
            if matches!(received.kind, wire::RETURN | wire::ERROR) && received.answers == serial {
                return Ok(received);
            }
        }
    }

    /// Sends a call.
    pub(crate) fn send(&mut self, call: &Call) -> io::Result<u32> {
        self.serial += 1;
        let bytes = wire::call(call, self.serial).ok_or_else(|| {
            io::Error::other(format!(
                "{} are no {}",
                json!(call.arguments),
                call.signature
            ))
        })?;
        self.stream.write_all(&bytes)?;
        Ok(self.serial)
    }

    fn receive(&mut self) -> io::Result<Received> {
        let mut bytes = vec![0; wire::FIXED];
        self.stream.read_exact(&mut bytes)?;
        let length = wire::length(&bytes)
            .filter(|length| *length <= LONGEST)
            .ok_or_else(|| io::Error::other("no D-Bus message"))?;
        bytes.resize(length, 0);
        self.stream.read_exact(&mut bytes[wire::FIXED..])?;
        wire::read(&bytes).ok_or_else(|| io::Error::other("a message that makes no sense"))
    }
}
