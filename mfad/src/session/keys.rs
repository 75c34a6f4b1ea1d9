//! Which keys a dialogue can ask, and how its prompt says so. It asks none.

use super::{facts::Facts, verdict::Subject};
use crate::{
    factor::{Allowed, otp::identity, ssh_key},
    ssh::key::PublicKey,
    store::{CredentialId, Kind, Standing, seal::Keyring},
    throttle::Class,
};

/// Most keys that a prompt names one by one.
const MOST_NAMED: usize = 2;

/// An SSH key that an agent may hold.
#[derive(Debug, Clone)]
pub(super) struct AgentKey {
    pub credential: CredentialId,
    /// What its owner calls it.
    pub name: String,
    pub key: PublicKey,
}

/// The ways a dialogue can be answered: by keys, which are asked when the person presses Enter, and by codes.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    /// Keys that are asked through the person's agent: those of authenticators first.
    agent: Vec<AgentKey>,
    /// Kinds of codes that the person has.
    codes: Vec<Kind>,
}

impl Keys {
    /// The keys that may be named and asked here: in the owner's own session, and nowhere else.
    pub(super) fn of(facts: &Facts, subject: &Subject, keyring: &Keyring) -> Self {
        let Subject::Enrolled(account, person) = subject else {
            return Self::default();
        };
        let active = || {
            let of_person = person.credentials.iter();
            of_person.filter(|credential| credential.standing == Standing::Active)
        };
        let codes = active()
            .map(|credential| credential.kind)
            .filter(|kind| kind.class() != Class::Key)
            .collect();
        let mut agent: Vec<AgentKey> = Vec::new();
        if facts.may_ask_agent(account.uid) {
            agent = active()
                .filter(|credential| matches!(credential.kind, Kind::SshSk | Kind::SshAgent))
                .filter_map(|credential| {
                    let bound = identity(&person.key, credential.kind, credential.id);
                    let key = ssh_key::open(keyring, &bound, &credential.sealed).ok()?;
                    Some(AgentKey {
                        credential: credential.id,
                        name: credential.name.clone(),
                        key,
                    })
                })
                .collect();
            agent.sort_by_key(|key| key.key.kind() != Kind::SshSk);
        }
        Self { agent, codes }
    }

    /// Those that the agent may be asked for. A demand that withstands phishing is none for it.
    pub(super) fn for_agent(&self, allowed: &Allowed) -> Vec<AgentKey> {
        let fits = |key: &&AgentKey| {
            allowed.accepts(crate::factor::Evidence {
                kind: key.key.kind(),
                phishing_resistant: false,
                // What it says of its user is seen in its signature.
                user_verified: true,
            })
        };
        self.agent.iter().filter(fits).cloned().collect()
    }

    /// Whether any code could answer.
    pub(super) fn codes(&self, allowed: &Allowed) -> bool {
        self.codes.iter().any(|kind| allowed.contains(*kind))
    }

    /// The prompt, where `text` is the one for a code.
    pub(super) fn prompt(&self, allowed: &Allowed, text: &str) -> String {
        let keys = self.for_agent(allowed);
        let Some(first) = keys.first() else {
            return text.to_owned();
        };
        let cue = if first.key.kind() == Kind::SshSk {
            format!("Press Enter and touch {}", named(&keys))
        } else {
            format!("Press Enter to use {}", named(&keys))
        };
        if self.codes(allowed) {
            format!("{cue}, or {text}")
        } else {
            format!("{cue}: ")
        }
    }
}

fn named(keys: &[AgentKey]) -> String {
    if keys.len() > MOST_NAMED {
        return "one of your ssh keys".to_owned();
    }
    let names: Vec<String> = keys.iter().map(|key| format!("\"{}\"", key.name)).collect();
    format!("your ssh key {}", names.join(" or "))
}
