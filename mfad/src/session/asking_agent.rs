//! Asks the person's SSH agent for a signature of a key that they have enrolled, and looks at what comes back. The socket
//! is the person's own, and so is everything behind it: nothing that it says counts until a signature verifies.

use std::{os::fd::OwnedFd, time::Instant};

use mfad_protocol::AgentTrouble;
use nix::sys::socket::{AddressFamily, SockType, getsockopt, sockopt};

use super::{keying::Asked, keys::AgentKey};
use crate::{
    factor::ssh_key::{self, SignatureGuess},
    host,
    ssh::{
        agent::{Agent, AgentError},
        key::Signed,
        sshsig::Purpose,
    },
    store::PersonKey,
};

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
    if !is_theirs(&socket, user.uid) {
        return no_connection(AgentTrouble::Foreign);
    }
    let agent = match Agent::over(socket) {
        Ok(agent) => agent,
        Err(error) => return failed(&AgentError::Gone(error)),
    };
    let held = match agent.keys().await {
        Ok(held) => held,
        Err(error) => return failed(&error),
    };
    let mut refused = None;
    for key in question
        .keys
        .iter()
        .filter(|key| held.iter().any(|blob| blob == key.key.blob()))
    {
        let mut nonce = [0; 32];
        if getrandom::fill(&mut nonce).is_err() {
            return Asked::nothing("No key can be asked.", "the kernel gave no random bytes");
        }
        let purpose = Purpose {
            nonce,
            host: host::identity(),
            user: user.name.clone(),
            service: question.service.clone(),
        };
        let message = purpose.envelope();
        let signing = agent.sign(
            key.key.blob(),
            &message,
            key.key.request_flags(),
            question.until.into(),
        );
        match signing.await {
            Ok(signature) => return weigh(key, &message, &signature, question.user_verified),
            Err(AgentError::Refused) => refused = Some(&key.name),
            Err(AgentError::Silent) => {
                return Asked::nothing(
                    format!("Your ssh key \"{}\" was not touched in time.", key.name),
                    "no signature in time",
                );
            }
            Err(error) => return failed(&error),
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

/// Looks at a signature.
fn weigh(key: &AgentKey, message: &[u8], signature: &[u8], user_verified: bool) -> Asked {
    let kind = key.key.kind();
    let wrong = |detail| Asked::Signed {
        guess: SignatureGuess::wrong(),
        evidence: kind.into(),
        detail: Some(detail),
    };
    let Some(signed) = key.key.verify(message, signature) else {
        return wrong("a signature that does not verify");
    };
    let Signed { authenticator } = signed;
    if authenticator.is_some_and(|says| !says.user_present) {
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

/// Whether this is a connection to a socket on which the person listens, by the kernel's word.
fn is_theirs(socket: &OwnedFd, uid: u32) -> bool {
    let stream = getsockopt(socket, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    let unix = nix::sys::socket::getsockname::<nix::sys::socket::SockaddrStorage>(
        std::os::fd::AsRawFd::as_raw_fd(socket),
    )
    .ok()
    .and_then(|address| nix::sys::socket::SockaddrLike::family(&address))
        == Some(AddressFamily::Unix);
    stream
        && unix
        && getsockopt(socket, sockopt::PeerCredentials).is_ok_and(|peer| peer.uid() == uid)
}

fn failed(error: &AgentError) -> Asked {
    let told = match error {
        AgentError::Silent => "Your SSH agent does not answer.",
        AgentError::Refused | AgentError::Broken => {
            "Your SSH agent gave an answer that makes no sense."
        }
        AgentError::Gone(_) => "The connection to your SSH agent broke off.",
    };
    Asked::nothing(told, error.to_string())
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
