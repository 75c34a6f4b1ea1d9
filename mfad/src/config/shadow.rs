//! Reads the policy in the shadow: `shadow.toml`, a whole policy that decides nothing and is evaluated beside the one in force.
//! Whatever is wrong with it is kept as a word about it, and keeps nothing else from being read.

use mfad_protocol::names;
use policy::{Policy, Source};

use super::{ConfigError, ConfigErrors, Paths, Reading, Text, vocabulary};

/// A policy in the shadow.
#[derive(Debug)]
pub enum Shadow {
    /// It is evaluated.
    Policy(Box<Policy>),
    /// It is not, for these reasons, a line each.
    Broken(Vec<String>),
}

impl Shadow {
    /// The one of these paths; `None` if there is no such file. It is read as strictly as what is in force: a candidate that
    /// could not be taken as it is would be compared in vain.
    pub fn read(paths: &Paths) -> Option<Self> {
        let mut reading = Reading::of(paths);
        let text = reading.text(
            &paths.config_dir.join(names::SHADOW_FILE),
            policy::MAX_SOURCE,
        );
        let errors = reading.errors;
        match text {
            Some(text) if errors.is_empty() => Some(Self::of(&text)),
            _ if errors.is_empty() => None,
            _ => Some(Self::Broken(ConfigErrors(errors).lines())),
        }
    }

    fn of(text: &Text) -> Self {
        let sources: [Source<'_>; 1] = [text.source()];
        match Policy::parse(&sources, &vocabulary()) {
            Ok(policy) => Self::Policy(Box::new(policy)),
            Err(found) => {
                let errors = found.into_iter().map(ConfigError::Text).collect();
                Self::Broken(ConfigErrors(errors).lines())
            }
        }
    }

    /// The policy, if it can be evaluated.
    pub fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Policy(policy) => Some(policy),
            Self::Broken(_) => None,
        }
    }

    /// What is wrong with it.
    pub fn problems(&self) -> &[String] {
        match self {
            Self::Policy(_) => &[],
            Self::Broken(problems) => problems,
        }
    }
}
