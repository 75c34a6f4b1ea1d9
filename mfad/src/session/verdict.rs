//! From facts and policy to the course that a login takes. Pure: a table in code, read from top to bottom.

use mfad_protocol::Hook;
use policy::{Requirement, Unenrolled, UnenrolledAction, Verdict};

use super::facts::{Facts, SELF_SERVICE};
use crate::{
    factor::Allowed,
    people::Account,
    store::{Person, Standing},
};

/// Who wants in, as far as the system and the store know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Nobody of that name, or a name that the caller may not ask for.
    Nobody,
    /// An account without a factor in use, and what the store knows of it all the same.
    NotEnrolled(Account, Option<Person>),
    /// An account with at least one.
    Enrolled(Account, Person),
    /// The name service spells the name in another way (it ignores case, or knows an alias): neither the store nor the
    /// policy would know it as typed.
    Alias(Account),
    /// The store knows the name under another uid: a recreated account.
    Stranger(Account),
}

impl Subject {
    /// Sorts an account and what the store has under its name.
    pub fn of(account: Account, person: Option<Person>) -> Self {
        match person {
            Some(person) if person.key.uid != account.uid => Self::Stranger(account),
            Some(person)
                if person
                    .credentials
                    .iter()
                    .any(|credential| credential.standing == Standing::Active) =>
            {
                Self::Enrolled(account, person)
            }
            person => Self::NotEnrolled(account, person),
        }
    }

    /// Who the store knows under this name, if it is this account.
    pub const fn person(&self) -> Option<&Person> {
        match self {
            Self::Enrolled(_, person) | Self::NotEnrolled(_, Some(person)) => Some(person),
            Self::Nobody | Self::NotEnrolled(_, None) | Self::Stranger(_) | Self::Alias(_) => None,
        }
    }

    /// The account's uid, if there is one.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Nobody => None,
            Self::NotEnrolled(account, _)
            | Self::Enrolled(account, _)
            | Self::Stranger(account)
            | Self::Alias(account) => Some(account.uid),
        }
    }

    /// The account's groups.
    pub fn groups(&self) -> &[String] {
        match self {
            Self::Nobody => &[],
            Self::NotEnrolled(account, _)
            | Self::Enrolled(account, _)
            | Self::Stranger(account)
            | Self::Alias(account) => &account.groups,
        }
    }
}

const AN_ALIAS: &str =
    "the name service spells this name in another way; log in with that spelling";

/// How a prompt is meant. All three look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Play {
    /// The answer decides.
    Earnest,
    /// No answer is right; says why, for the audit log.
    Decoy(&'static str),
    /// Any answer leads to "not required": somebody not enrolled, whom the policy lets in, before anything is proven.
    Formality,
}

/// Somebody is let in without a factor, and should hear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reminder {
    /// From when on they will not be (seconds since the epoch), if that is set.
    pub until: Option<i64>,
}

/// What a login goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// No second factor. `remind` if the person should hear that they have none.
    Pass {
        /// Whether to say that a factor should be enrolled.
        remind: Option<Reminder>,
    },
    /// A prompt.
    Ask {
        /// How it is meant.
        play: Play,
        /// What may answer it.
        allowed: Allowed,
        /// How many distinct kinds must be proven.
        count: u8,
    },
    /// Enrollment in the login itself.
    Enroll,
}

/// What a login at a point where nobody can be prompted gets (account and session phases of a guarded service).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// In, with a reminder as in [`Course::Pass`].
    Open(Option<Reminder>),
    /// Refused; says why, for the audit log.
    Shut(&'static str),
}

/// The course of an auth phase or a password change. `unenrolled` says what becomes of those without a factor, `wall`
/// is the time it is compared with.
pub fn course(
    facts: &Facts,
    subject: &Subject,
    verdict: &Verdict,
    unenrolled: Unenrolled,
    wall: i64,
) -> Course {
    let decoy = |why| Course::Ask {
        play: Play::Decoy(why),
        allowed: Allowed::default(),
        count: 1,
    };
    if facts.decoy {
        return decoy("the first factor had failed");
    }
    if matches!(subject, Subject::Alias(_)) {
        return decoy(AN_ALIAS);
    }
    let requirement = match (verdict, facts.service == SELF_SERVICE) {
        (Verdict::Deny, _) => return decoy("the policy denies"),
        // A user's proof before changing factors is never waived: the policy speaks of logins.
        (Verdict::NotRequired, false) => return Course::Pass { remind: None },
        (Verdict::NotRequired, true) => &Requirement::any_factor(),
        (Verdict::Require(requirement), _) => requirement,
    };
    match subject {
        Subject::Nobody | Subject::Alias(_) => {
            decoy("no such user, or not the caller's to ask for")
        }
        Subject::Stranger(_) => {
            decoy("the enrolled user had another uid; an administrator must reset it")
        }
        Subject::NotEnrolled(..) => not_enrolled(facts, unenrolled, wall),
        Subject::Enrolled(_, person) => {
            let allowed = Allowed::by_policy(requirement);
            let usable = person.credentials.iter().any(|credential| {
                credential.standing == Standing::Active && allowed.contains(credential.kind)
            });
            if usable {
                Course::Ask {
                    play: Play::Earnest,
                    allowed,
                    count: requirement.count,
                }
            } else {
                decoy("enrolled, but with none of the factors that the policy asks for")
            }
        }
    }
}

fn not_enrolled(facts: &Facts, unenrolled: Unenrolled, wall: i64) -> Course {
    let ask = |play| Course::Ask {
        play,
        allowed: Allowed::default(),
        count: 1,
    };
    match unenrolled.action_at(wall) {
        UnenrolledAction::Allow
            if facts.first_factor.is_there() || facts.hook == Hook::Password =>
        {
            Course::Pass {
                remind: Some(Reminder {
                    until: unenrolled.until,
                }),
            }
        }
        UnenrolledAction::Allow => ask(Play::Formality),
        UnenrolledAction::Enroll if facts.first_factor.is_there() => Course::Enroll,
        UnenrolledAction::Enroll => ask(Play::Decoy(
            "not enrolled, and no first factor to enroll on",
        )),
        UnenrolledAction::Deny => ask(Play::Decoy("not enrolled")),
    }
}

/// What a guarded login without a grant gets.
pub fn gate(subject: &Subject, verdict: &Verdict, unenrolled: Unenrolled, wall: i64) -> Gate {
    match (verdict, subject) {
        (_, Subject::Alias(_)) => Gate::Shut(AN_ALIAS),
        (Verdict::NotRequired, _) => Gate::Open(None),
        (Verdict::Deny, _) => Gate::Shut("the policy denies"),
        (_, Subject::NotEnrolled(..)) if unenrolled.action_at(wall) == UnenrolledAction::Allow => {
            Gate::Open(Some(Reminder {
                until: unenrolled.until,
            }))
        }
        _ => Gate::Shut("a second factor is required, and none was proven in this login"),
    }
}

#[cfg(test)]
mod tests {
    use mfad_protocol::{Context, PROTOCOL};

    use super::*;
    use crate::session::{Caller, Connection};

    fn facts() -> Facts {
        let context = Context {
            protocol: PROTOCOL,
            hook: Some(Hook::Auth),
            service: "sshd".into(),
            user: "ALICE".into(),
            ssh_auth_info: Some("publickey ssh-ed25519 AAAA".into()),
            ..Context::default()
        };
        let root = Caller {
            uid: 0,
            connection: Connection::Peer(1),
        };
        Facts::derive(context, &root).unwrap()
    }

    #[test]
    fn a_name_in_another_spelling_passes_nowhere_whatever_the_policy_says() {
        let alias = Subject::Alias(Account {
            name: "alice".into(),
            uid: 1000,
            groups: [].into(),
        });
        let allow = Unenrolled {
            action: UnenrolledAction::Allow,
            until: None,
        };
        let any = Verdict::Require(Requirement::any_factor());
        for verdict in [Verdict::NotRequired, any, Verdict::Deny] {
            let course = course(&facts(), &alias, &verdict, allow, 0);
            assert!(
                matches!(
                    &course,
                    Course::Ask {
                        play: Play::Decoy(_),
                        ..
                    }
                ),
                "{course:?}"
            );
            assert!(matches!(gate(&alias, &verdict, allow, 0), Gate::Shut(_)));
        }
    }
}
