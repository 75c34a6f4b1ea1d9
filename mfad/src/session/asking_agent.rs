//! Asks the person's SSH agent for a signature of a key that they have enrolled, and looks at what comes back. The socket
//! is the person's own, and so is everything behind it: nothing that it says counts until a signature verifies.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use mfad_protocol::AgentTrouble;
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt,
};

use super::{facts::SELF_SERVICE, keying::Asked, keys::AgentKey};
use crate::{
    factor::ssh_key::{self, SignatureGuess},
    host,
    ssh::{
        agent::{Agent, AgentError},
        key::{PublicKey, Signed},
        sshsig::Purpose,
    },
    store::{Kind, PersonKey},
};

/// How long an enrollment waits for a touch.
const ENROLLING: Duration = Duration::from_secs(20);

/// What is asked.
pub(super) struct Question {
    /// Of which keys, in this order, until one signs.
    pub keys: Vec<AgentKey>,
    /// The authenticator must have known its user.
    pub user_verified: bool,
    /// Whose they are.
    pub user: Option<PersonKey>,
    /// For what.
    pub service: String,
    pub until: Instant,
}

/// Asks, in the time that there is.
pub(super) async fn ask(socket: OwnedFd, question: Question) -> Asked {
    let Some(user) = &question.user else {
        return Asked::nothing("No key can be asked.", "nobody is asked for");
    };
    let (agent, held) = match reach(socket, user.uid).await {
        Ok(reached) => reached,
        Err(trouble) => return trouble.into(),
    };
    let mut refused = None;
    for key in &question.keys {
        if !held.iter().any(|blob| blob == key.key.blob()) {
            continue;
        }
        let signing = Signing {
            agent: &agent,
            user: &user.name,
            service: &question.service,
            until: question.until,
        };
        match signing.of(&key.key).await {
            Ok(signed) => return weigh(key, signed, question.user_verified),
            Err(Trouble::Agent(AgentError::Refused)) => refused = Some(&key.name),
            Err(Trouble::Agent(AgentError::Silent)) => {
                return Asked::nothing(
                    format!("Your ssh key \"{}\" was not touched in time.", key.name),
                    "no signature in time",
                );
            }
            Err(trouble) => return trouble.into(),
        }
    }
    match refused {
        Some(name) => Asked::nothing(
            format!("Your SSH agent did not sign with \"{name}\": is it plugged in?"),
            "the agent refused to sign",
        ),
        None => Asked::nothing(
            "Your SSH agent holds no key that you have enrolled (ssh-add -l shows what it holds).",
            "the agent holds no enrolled key",
        ),
    }
}

/// Looks at a signature; `None`: it does not verify.
fn weigh(key: &AgentKey, signed: Option<Signed>, user_verified: bool) -> Asked {
    let kind = key.key.kind();
    let wrong = |detail| Asked::Signed {
        guess: SignatureGuess::wrong(),
        evidence: kind.into(),
        detail: Some(detail),
    };
    let Some(signed) = signed else {
        return wrong("a signature that does not verify");
    };
    if !was_touched(signed) {
        return wrong("a signature without a touch");
    }
    let evidence = ssh_key::through_agent(kind, signed);
    if user_verified && !evidence.user_verified {
        return Asked::nothing(
            format!(
                "Your ssh key \"{}\" did not ask for its PIN or finger, which is demanded here; one made with \
                 `ssh-keygen -O verify-required` does.",
                key.name
            ),
            "a signature without user verification",
        );
    }
    Asked::Signed {
        guess: SignatureGuess::right(key.credential, signed),
        evidence,
        detail: None,
    }
}

/// Nobody can touch a plain key.
fn was_touched(signed: Signed) -> bool {
    signed.authenticator.is_none_or(|says| says.user_present)
}

/// Has a key prove itself for its enrollment by one signature: the wanted one, or the first of this kind that the agent
/// holds and `known` does not have. An error is a sentence for its owner.
pub(crate) async fn prove(
    socket: OwnedFd,
    owner: &PersonKey,
    kind: Kind,
    wanted: Option<PublicKey>,
    known: &[PublicKey],
) -> Result<(PublicKey, Signed), String> {
    let (agent, held) = reach(socket, owner.uid).await.map_err(Trouble::told)?;
    let is_held = |key: &PublicKey| held.iter().any(|blob| blob == key.blob());
    let key = match wanted {
        Some(key) if is_held(&key) => key,
        Some(key) => {
            return Err(format!(
                "your SSH agent does not hold {}; `ssh-add` gives it a key",
                key.fingerprint()
            ));
        }
        None => {
            let of_kind = held.iter().filter_map(|blob| PublicKey::read(blob).ok());
            let mut new = of_kind.filter(|key| key.kind() == kind && !known.contains(key));
            new.next().ok_or_else(|| {
                "your SSH agent holds no key of that kind that is not enrolled; `ssh-add -l` shows what it holds"
                    .to_owned()
            })?
        }
    };
    let signing = Signing {
        agent: &agent,
        user: &owner.name,
        service: SELF_SERVICE,
        until: Instant::now() + ENROLLING,
    };
    match signing.of(&key).await.map_err(Trouble::told)? {
        Some(signed) if was_touched(signed) => Ok((key, signed)),
        Some(_) => Err("the key signed without a touch, which proves nobody's presence; one made without `-O no-touch-required` asks for it".into()),
        None => Err("the agent's signature does not verify".into()),
    }
}

/// A request for signatures.
struct Signing<'a> {
    agent: &'a Agent,
    user: &'a str,
    service: &'a str,
    until: Instant,
}

impl Signing<'_> {
    /// What a key's signature over a nonce of this moment says; `None` if it does not verify.
    async fn of(&self, key: &PublicKey) -> Result<Option<Signed>, Trouble> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| Trouble::NoRandomness)?;
        let purpose = Purpose {
            nonce,
            host: host::identity(),
            user: self.user.to_owned(),
            service: self.service.to_owned(),
        };
        let message = purpose.envelope();
        let flags = key.request_flags();
        let signing = self
            .agent
            .sign(key.blob(), &message, flags, self.until.into());
        let signature = signing.await.map_err(Trouble::Agent)?;
        Ok(key.verify(&message, &signature))
    }
}

/// Why nothing was asked, or nothing came.
#[derive(Debug)]
enum Trouble {
    Foreign,
    NoRandomness,
    Agent(AgentError),
}

impl Trouble {
    /// For the person, as part of a sentence.
    fn told(self) -> String {
        match self {
            Self::Foreign => "SSH_AUTH_SOCK names an SSH agent of somebody else",
            Self::NoRandomness => "the kernel gives no random bytes",
            Self::Agent(AgentError::Refused) => {
                "your SSH agent did not sign: is the key plugged in?"
            }
            Self::Agent(AgentError::Silent) => "your SSH agent did not answer in time",
            Self::Agent(AgentError::Broken) => "your SSH agent gave an answer that makes no sense",
            Self::Agent(AgentError::Gone(_)) => "the connection to your SSH agent broke off",
        }
        .to_owned()
    }
}

impl From<Trouble> for Asked {
    fn from(trouble: Trouble) -> Self {
        let why = match &trouble {
            Trouble::Agent(error) => error.to_string(),
            Trouble::Foreign => "the agent is not the person's".to_owned(),
            Trouble::NoRandomness => "the kernel gave no random bytes".to_owned(),
        };
        let mut told = trouble.told();
        if let Some(first) = told.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        told.push('.');
        Self::nothing(told, why)
    }
}

/// The agent behind a socket of this person's, and the keys that it says it holds.
async fn reach(socket: OwnedFd, uid: u32) -> Result<(Agent, Vec<Vec<u8>>), Trouble> {
    if !is_theirs(&socket, uid) {
        return Err(Trouble::Foreign);
    }
    let agent = Agent::over(socket).map_err(|error| Trouble::Agent(AgentError::Gone(error)))?;
    let held = agent.keys().await.map_err(Trouble::Agent)?;
    Ok((agent, held))
}

/// Whether this is a connection to a socket on which the person listens, by the kernel's word.
fn is_theirs(socket: &OwnedFd, uid: u32) -> bool {
    let is_stream =
        getsockopt(socket, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    let address = getsockname::<SockaddrStorage>(socket.as_raw_fd());
    let is_unix = address.is_ok_and(|address| address.family() == Some(AddressFamily::Unix));
    let is_theirs =
        getsockopt(socket, sockopt::PeerCredentials).is_ok_and(|peer| peer.uid() == uid);
    is_stream && is_unix && is_theirs
}

/// Why the module has no connection to the agent.
pub(super) fn no_connection(trouble: AgentTrouble) -> Asked {
    let told = match trouble {
        AgentTrouble::Unset => "SSH_AUTH_SOCK names no SSH agent.",
        AgentTrouble::Stale => {
            "The SSH agent that SSH_AUTH_SOCK names is gone. In tmux or screen, that is the agent of a connection that has \
             ended: open a new window."
        }
        AgentTrouble::Denied => "SSH_AUTH_SOCK names an SSH agent that you may not use.",
        AgentTrouble::Foreign => "SSH_AUTH_SOCK names an SSH agent of somebody else.",
        AgentTrouble::Failed => "Your SSH agent does not answer.",
    };
    Asked::nothing(
        told,
        format!("no connection to the agent: {}", trouble.word()),
    )
}
