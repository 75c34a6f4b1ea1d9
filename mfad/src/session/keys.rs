//! Which keys a dialogue can ask, and how its prompt says so. It asks none.

use super::{facts::Facts, verdict::Subject};
use crate::{
    factor::{Allowed, Evidence, fido2::Registered, otp::identity, ssh_key},
    helper::{Helper, Warm},
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

/// A security key that may be plugged in here.
#[derive(Debug, Clone)]
pub(super) struct PluggedKey {
    pub credential: CredentialId,
    /// What its owner calls it.
    pub name: String,
    pub registered: Registered,
}

/// Who is asked for a key at the next Enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The helper, which asks the keys of this machine.
    Plugged,
    /// The person's SSH agent.
    Agent,
}

/// The ways a dialogue can be answered: by keys, which are asked when the person presses Enter, and by codes.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    /// Keys that are asked at this machine.
    plugged: Vec<PluggedKey>,
    /// A helper that has started for them.
    pub(super) warm: Warm,
    /// The agent's turn comes first: its owner prefers it, or those of this machine have been asked in vain.
    agent_first: bool,
    /// Keys that are asked through the person's agent: those of authenticators first.
    agent: Vec<AgentKey>,
    /// Kinds of codes that the person has.
    codes: Vec<Kind>,
    /// The kind that the person wants to be asked for first.
    preferred: Option<Kind>,
}

impl Keys {
    /// The keys that may be named and asked here: an agent's in the owner's own session, and those of this machine where the
    /// person sits at it, if the helper is there.
    pub(super) fn of(facts: &Facts, subject: &Subject, keyring: &Keyring, helper: &Helper) -> Self {
        let Subject::Enrolled(account, person) = subject else {
            return Self::default();
        };
        let preferred = person.preferred.as_deref().and_then(Kind::from_word);
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
            agent.sort_by_key(|key| {
                let kind = key.key.kind();
                (Some(kind) != preferred, kind != Kind::SshSk)
            });
        }
        let mut plugged = Vec::new();
        let has_one = active().any(|credential| credential.kind == Kind::Fido2);
        if has_one && facts.sits_here && helper.is_there() {
            plugged = active()
                .filter(|credential| credential.kind == Kind::Fido2)
                .filter_map(|credential| {
                    let bound = identity(&person.key, credential.kind, credential.id);
                    let opened = Registered::open(keyring, &bound, &credential.sealed);
                    Some(PluggedKey {
                        credential: credential.id,
                        name: credential.name.clone(),
                        registered: opened.ok()?,
                    })
                })
                .collect();
        }
        Self {
            plugged,
            warm: Warm::default(),
            agent_first: matches!(preferred, Some(Kind::SshSk | Kind::SshAgent)),
            agent,
            codes,
            preferred,
        }
    }

    /// Those that the helper may be asked for.
    pub(super) fn for_helper(&self, allowed: &Allowed) -> Vec<PluggedKey> {
        let fits = allowed.accepts(Evidence {
            kind: Kind::Fido2,
            phishing_resistant: true,
            // What it says of its user is seen in its signature.
            user_verified: true,
        });
        let fitting = self.plugged.iter().filter(|_| fits);
        fitting.cloned().collect()
    }

    /// Who is asked next.
    pub(super) fn turn(&self, allowed: &Allowed) -> Option<Turn> {
        let plugged = !self.for_helper(allowed).is_empty();
        let agent = !self.for_agent(allowed).is_empty();
        match (plugged, agent) {
            (true, true) if self.agent_first => Some(Turn::Agent),
            (true, _) => Some(Turn::Plugged),
            (false, true) => Some(Turn::Agent),
            (false, false) => None,
        }
    }

    /// The keys of this machine gave no signature, or the agent gave none: the other's turn.
    pub(super) fn in_vain(&mut self, turn: Turn) {
        self.agent_first = turn == Turn::Plugged;
    }

    /// Those that the agent may be asked for. A demand that withstands phishing is none for it.
    pub(super) fn for_agent(&self, allowed: &Allowed) -> Vec<AgentKey> {
        let fits = |key: &&AgentKey| {
            allowed.accepts(Evidence {
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

    /// The prompt, where `text` is the one for a code. What the person prefers is named first, if the text can be continued.
    pub(super) fn prompt(&self, allowed: &Allowed, text: &str) -> String {
        let cue = match self.turn(allowed) {
            None => return text.to_owned(),
            Some(Turn::Plugged) => {
                let keys = self.for_helper(allowed);
                let names = keys.iter().map(|key| key.name.as_str());
                format!(
                    "press Enter and touch {}",
                    named("security key", names.collect())
                )
            }
            Some(Turn::Agent) => {
                let keys = self.for_agent(allowed);
                let touched = keys
                    .first()
                    .is_some_and(|key| key.key.kind() == Kind::SshSk);
                let how = if touched { "and touch" } else { "to use" };
                let names = keys.iter().map(|key| key.name.as_str());
                format!("press Enter {how} {}", named("ssh key", names.collect()))
            }
        };
        if !self.codes(allowed) {
            return format!("{}: ", capital(&cue));
        }
        let is_code = |kind: &Kind| self.codes.contains(kind) && allowed.contains(*kind);
        match text.strip_suffix(": ") {
            Some(code) if self.preferred.as_ref().is_some_and(is_code) => {
                format!("{code}, or {cue}: ")
            }
            _ => format!("{}, or {text}", capital(&cue)),
        }
    }
}

fn capital(cue: &str) -> String {
    let mut letters = cue.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn named(what: &str, names: Vec<&str>) -> String {
    if names.len() > MOST_NAMED {
        return format!("one of your {what}s");
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("your {what} {}", quoted.join(" or "))
}
