//! What a module answers, in the place of a socket, when it cannot connect to the person's SSH agent.

/// Why there is no connection to an agent. It travels as its word, the one answer to a step that wants a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentTrouble {
    /// `SSH_AUTH_SOCK` names nothing that could be a socket's path.
    Unset,
    /// Nothing is there, or nobody listens any more.
    Stale,
    /// The person may not connect to it.
    Denied,
    /// Somebody else listens there.
    Foreign,
    /// It took too long, or failed in another way.
    Failed,
}

impl AgentTrouble {
    const ALL: [Self; 5] = [
        Self::Unset,
        Self::Stale,
        Self::Denied,
        Self::Foreign,
        Self::Failed,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Stale => "stale",
            Self::Denied => "denied",
            Self::Foreign => "foreign",
            Self::Failed => "failed",
        }
    }

    /// What `word` stands for. A word of a later version is a failure like any other.
    pub fn from_word(word: &[u8]) -> Self {
        let known = Self::ALL
            .into_iter()
            .find(|trouble| trouble.word().as_bytes() == word);
        known.unwrap_or(Self::Failed)
    }
}
