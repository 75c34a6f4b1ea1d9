//! The two messages that are exchanged with an SSH agent (draft-ietf-sshm-ssh-agent §4.5, §4.6), bounded in size and in
//! time. It believes nothing: what comes back is somebody's word until a signature verifies.

use std::{
    fmt, io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixStream as StdStream,
    },
    time::Duration,
};

use nix::sys::socket::{MsgFlags, recv, send};
use tokio::{
    io::Interest,
    net::UnixStream,
    time::{Instant, timeout_at},
};

use super::wire::{Fields, put};

/// Longest message of an agent that is read, in bytes. OpenSSH's own limit.
const LONGEST: usize = 256 * 1024;
/// Most keys of a list that are looked at.
const MOST_KEYS: usize = 64;
/// How long an agent may take for a list, over a forwarded connection.
const LISTING: Duration = Duration::from_secs(4);
/// How long an answer may take from its first byte on: by then whatever was waited for has happened.
const TRANSFER: Duration = Duration::from_secs(1);

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// Why an agent's answer is none.
#[derive(Debug)]
pub enum AgentError {
    /// It says that it cannot, or will not.
    Refused,
    /// It did not answer in time.
    Silent,
    /// It broke the protocol, or its bounds.
    Broken,
    /// The connection failed.
    Gone(io::Error),
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the agent refused"),
            Self::Silent => f.write_str("the agent did not answer in time"),
            Self::Broken => f.write_str("the agent broke the protocol"),
            Self::Gone(error) => write!(f, "the agent is gone: {error}"),
        }
    }
}

impl std::error::Error for AgentError {}

impl From<io::Error> for AgentError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Gone(io::ErrorKind::ConnectionReset.into()),
            _ => Self::Gone(error),
        }
    }
}

/// A connection to an agent.
///
/// Whoever sent the socket shares it, and can make it a blocking one again at any moment. So each call says for itself that
/// it does not wait: one that did would hold up everybody's logins.
#[derive(Debug)]
pub struct Agent(UnixStream);

impl Agent {
    /// Takes a connected stream socket.
    pub fn over(socket: OwnedFd) -> io::Result<Self> {
        let stream = StdStream::from(socket);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream).map(Self)
    }

    /// The keys that it says it holds, by their public halves.
    pub async fn keys(&self) -> Result<Vec<Vec<u8>>, AgentError> {
        let reply = self
            .exchange(&[REQUEST_IDENTITIES], Instant::now() + LISTING)
            .await?;
        listed(&reply).ok_or(AgentError::Broken)
    }

    /// Has it sign `message` with a key, and waits until then for whatever that takes (a touch).
    pub async fn sign(
        &self,
        key: &[u8],
        message: &[u8],
        flags: u32,
        until: Instant,
    ) -> Result<Vec<u8>, AgentError> {
        let mut request = vec![SIGN_REQUEST];
        put(&mut request, key);
        put(&mut request, message);
        request.extend_from_slice(&flags.to_be_bytes());
        let reply = self.exchange(&request, until).await?;
        signature(&reply).ok_or(AgentError::Broken)
    }

    async fn exchange(&self, request: &[u8], until: Instant) -> Result<Vec<u8>, AgentError> {
        let mut framed = Vec::with_capacity(4 + request.len());
        put(&mut framed, request);
        let sending = self.send(&framed);
        let sent = timeout_at(until.min(Instant::now() + TRANSFER), sending).await;
        sent.map_err(|_| AgentError::Silent)??;
        // Its first byte, and no mere word that there may be one: until then somebody may be about to touch a key.
        let mut length = [0; 4];
        timeout_at(until, self.fill(&mut length[..1]))
            .await
            .map_err(|_| AgentError::Silent)??;
        let transfer = async {
            self.fill(&mut length[1..]).await?;
            self.rest_of_reply(u32::from_be_bytes(length)).await
        };
        let transferred = timeout_at(until.min(Instant::now() + TRANSFER), transfer).await;
        let reply = transferred.map_err(|_| AgentError::Silent)??;
        match reply.first() {
            Some(&FAILURE) => Err(AgentError::Refused),
            _ => Ok(reply),
        }
    }

    /// A message after its length, which is the other side's word: nothing is set aside for more than may come.
    async fn rest_of_reply(&self, length: u32) -> Result<Vec<u8>, AgentError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length == 0 || length > LONGEST {
            return Err(AgentError::Broken);
        }
        let mut reply = vec![0; length];
        self.fill(&mut reply).await?;
        Ok(reply)
    }

    async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while !bytes.is_empty() {
            let give = || Ok(send(self.0.as_raw_fd(), bytes, flags)?);
            let sent = self.0.async_io(Interest::WRITABLE, give).await?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    async fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let take = || Ok(recv(self.0.as_raw_fd(), rest, MsgFlags::MSG_DONTWAIT)?);
            match self.0.async_io(Interest::READABLE, take).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(())
    }
}

/// The keys of an agent's list; `None` if it is none.
pub fn listed(reply: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = Fields(reply);
    if fields.byte()? != IDENTITIES {
        return None;
    }
    let count = usize::try_from(fields.number()?).ok()?;
    let mut keys = Vec::new();
    for _ in 0..count.min(MOST_KEYS) {
        let (key, _comment) = (fields.string()?, fields.string()?);
        keys.push(key.to_vec());
    }
    Some(keys)
}

/// The signature in an agent's answer; `None` if there is none.
pub fn signature(reply: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Fields(reply);
    if fields.byte()? != SIGN_RESPONSE {
        return None;
    }
    let signature = fields.string()?.to_vec();
    fields.is_empty().then_some(signature)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::mpsc, thread};

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    /// An agent that says so much, makes our end of the connection a blocking one, and leaves when it is told to, or long
    /// after its time is up.
    fn blocking(says: &'static [u8]) -> (Agent, mpsc::Sender<()>) {
        let (ours, mut theirs) = StdStream::pair().unwrap();
        let shared = ours.try_clone().unwrap();
        let agent = Agent::over(ours.into()).unwrap();
        fcntl(&shared, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        theirs.write_all(says).unwrap();
        let (leave, told) = mpsc::channel();
        thread::spawn(move || {
            let _told = told.recv_timeout(30 * TRANSFER);
            drop((theirs, shared));
        });
        (agent, leave)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_agent_that_makes_the_socket_block_holds_nobody_up() {
        let (agent, _stays) = blocking(&[0, 0]);
        assert!(matches!(agent.keys().await, Err(AgentError::Silent)));
        let (agent, _stays) = blocking(&[]);
        let message = vec![0; 4 << 20];
        let until = Instant::now() + 2 * TRANSFER;
        let signed = agent.sign(&[], &message, 0, until).await;
        assert!(matches!(signed, Err(AgentError::Silent)));
    }
}
