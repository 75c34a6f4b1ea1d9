//! What must survive a crash, as verbs that state invariants.
//!
//! Each verb is atomic, and durable before it answers (only [`Store::record_login`] may lag): no caller ever reads,
//! decides and then writes. The store decides nothing about policy and holds no key; what is secret arrives sealed.

pub mod seal;
pub mod sqlite;

use std::{fmt, future::Future, pin::Pin};

use crate::{
    audit::Record,
    clock::Now,
    throttle::{self, Class, Lane, Place},
};

/// A verb's answer, some time later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why the store could not do as asked. What a person logging in hears of any of them is "unavailable".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Full, read-only, failing or locked: nothing was changed. Holds what the database said.
    Unwritable(String),
    /// The file is damaged or not ours.
    Corrupt(String),
    /// Written by a newer version of the program: the schema found.
    FromTheFuture(u32),
    /// The person, credential or enrollment named does not exist.
    NotFound,
    /// A name or id is taken already.
    Exists,
    /// The person has a credential in use already, and this was to be their first.
    NotFirst,
    /// Too much waits to be written; nothing is wrong with the store.
    Busy,
    /// A bound would be passed (most factors a person may have, most people pending).
    Full,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(what) => write!(f, "the store cannot be written: {what}"),
            Self::Corrupt(what) => write!(f, "the store is damaged: {what}"),
            Self::FromTheFuture(found) => {
                write!(
                    f,
                    "the store has schema {found}, written by a newer mfad; upgrade this one"
                )
            }
            Self::NotFound => f.write_str("no such record"),
            Self::Exists => f.write_str("that name is taken"),
            Self::NotFirst => f.write_str("another factor has been enrolled meanwhile"),
            Self::Busy => f.write_str("too much waits to be written to the store"),
            Self::Full => f.write_str("no room for another one"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Row of a person, unique in this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(pub i64);

/// A credential's random id. Shown to people as 32 hexadecimal digits, of which a unique prefix is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub [u8; 16]);

/// Who a person is: the realm (`local` until fleets share a store) and the login name are the key; the uid is a check,
/// so that a deleted and recreated account does not inherit its predecessor's factors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PersonKey {
    /// Where the name is unique.
    pub realm: String,
    /// Login name.
    pub name: String,
    /// Numeric user id when the record was made.
    pub uid: u32,
}

/// A person and what they can prove themselves with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Row.
    pub id: PersonId,
    /// Who.
    pub key: PersonKey,
    /// Credentials in use and pending, oldest first.
    pub credentials: Vec<Credential>,
    /// When a login with a second factor was last completed, seconds since the epoch.
    pub last_login: Option<i64>,
    /// Failed attempts since that login.
    pub failures_since: u32,
}

/// What kind of credential a record is. The words are those of `mfactl` and of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RFC 6238.
    Totp,
    /// RFC 4226.
    Hotp,
    /// A set of look-up secrets (NIST SP 800-63B-4 §3.1.2).
    BackupCodes,
}

impl Kind {
    /// The word for it in commands, policy and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Hotp => "hotp",
            Self::BackupCodes => "backup-codes",
        }
    }

    /// The kind that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Totp, Self::Hotp, Self::BackupCodes]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    /// The guessing budget it draws on.
    pub const fn class(self) -> Class {
        match self {
            Self::Totp | Self::Hotp => Class::Otp,
            Self::BackupCodes => Class::BackupCodes,
        }
    }
}

/// Whether a credential can be used yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    Active,
    /// Offered in a login that is not complete; forgotten after the given time (seconds since the epoch).
    PendingUntil(i64),
}

/// One credential as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Random, chosen before sealing, so that the seal can bind it.
    pub id: CredentialId,
    /// What it is.
    pub kind: Kind,
    /// What its owner calls it; unique per person, compared without case.
    pub name: String,
    /// When it was made, seconds since the epoch.
    pub created: i64,
    /// When it last let its owner in.
    pub last_used: Option<i64>,
    /// Whether it counts.
    pub standing: Standing,
    /// The secret and its parameters, sealed (see [`seal`]).
    pub sealed: Vec<u8>,
    /// TOTP: last accepted time step (RFC 6238 §5.2), −1 before the first. HOTP: next counter to accept (RFC 4226 §7.4).
    /// Backup codes: unused. It never goes back, except by [`Store::unlock`] with `clock`.
    pub moving: i64,
    /// Backup codes: digests of the codes that are left, by index. Empty for other kinds.
    pub codes: Vec<(u16, [u8; 32])>,
}

/// A credential to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Random, already bound into `sealed`.
    pub id: CredentialId,
    /// What it is.
    pub kind: Kind,
    /// Wanted name; `None` lets the store pick the kind's word, numbered if taken (`totp`, `totp-2`, …).
    pub name: Option<String>,
    /// Whether it counts at once.
    pub standing: Standing,
    /// Whether nobody has proven another credential of this person: then it may only be their first.
    pub only_first: bool,
    /// Sealed secret.
    pub sealed: Vec<u8>,
    /// Where its moving factor begins (a code that confirmed it is spent already).
    pub moving: i64,
    /// Backup codes: digests in order.
    pub codes: Vec<[u8; 32]>,
}

/// What a right answer matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The credential's moving factor goes to `to`: an accepted TOTP step, or an HOTP counter plus one.
    Advance {
        /// Which credential.
        credential: CredentialId,
        /// New value; the store accepts only a greater one than it has.
        to: i64,
    },
    /// The backup code of this index is spent.
    Burn {
        /// Which set.
        credential: CredentialId,
        /// Which code of it.
        index: u16,
    },
}

/// An answer to be judged against a person's credentials, inside the transaction that charges it.
pub trait Guess: Send {
    /// Compares with every credential in the same time whichever matches, and says which did. It is shown the person's
    /// credentials in use that draw on the attempt's class, and none for somebody unknown, without such credentials or
    /// refused: then the implementation does the same work against a decoy and returns `None`.
    ///
    /// The writer waits for it: what takes more than some microseconds (a slow hash) comes before [`Store::judge`].
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match>;

    /// How many budget units a failure costs: one for each three codes that this answer could have matched
    /// (rounded up), so that the odds of guessing do not grow with devices and look-ahead.
    fn cost(&self, credentials: &[Credential]) -> u32;
}

/// One attempt at a code.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose; `None` for somebody unknown or not enrolled: the same work and the same write, charged to the source only.
    pub person: Option<PersonId>,
    /// Which budget it draws on.
    pub class: Class,
    /// Where it comes from; the store turns a remote place into the trusted or the other lane.
    pub place: Place,
    /// When.
    pub now: Now,
    /// Whether a right answer is the last that the policy asks for: `granted` in the record, else `accepted`.
    pub completes: bool,
    /// The audit record to write with it; the store fills in what came of it.
    pub record: Record,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Right, and spent.
    Accepted {
        /// What kind of credential matched.
        kind: Kind,
        /// Its owner's name for it.
        name: String,
    },
    /// Wrong (or already spent), and charged.
    Wrong,
    /// A delay or an exhausted budget stood in the way: not looked at, not charged.
    NotEvaluated(throttle::Refusal),
}

/// What an account phase leaves behind once a whole login has succeeded.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whose.
    pub person: PersonId,
    /// From where: a remote place becomes a trusted source for 30 days.
    pub place: Place,
    /// When.
    pub now: Now,
}

/// One guessing budget, for show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Which.
    pub class: Class,
    /// Units spent in the last 30 days.
    pub spent: u32,
    /// Lanes that are delayed, and until when.
    pub delays: Vec<(Lane, i64)>,
    /// Whether it is exhausted until unlocked.
    pub disabled: bool,
}

/// Which audit records to read.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only this user's.
    pub user: Option<String>,
    /// Only at or after this time.
    pub since: Option<i64>,
    /// Only with a greater sequence number.
    pub after: Option<i64>,
    /// The newest so many.
    pub limit: u32,
}

/// The store's numbers, from `mfad.toml`. They can be changed while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How often guesses may be made.
    pub limits: throttle::Limits,
    /// How long audit records are kept, in seconds.
    pub audit_keep: i64,
    /// Most audit records that are kept.
    pub audit_records: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: throttle::Limits::default(),
            audit_keep: 400 * 86_400,
            audit_records: 1_000_000,
        }
    }
}

/// The daemon's memory. One contract suite runs against every implementation.
pub trait Store: Send + Sync {
    /// Puts other numbers in force, from the next verb on.
    fn set_options(&self, options: Options);

    /// The person of that name, or `None`. Answers from an index, in the time it takes with one person or a million.
    fn find_person<'a>(&'a self, realm: &'a str, name: &'a str) -> Answer<'a, Option<Person>>;

    /// At most `limit` people whose names sort after `after`.
    fn list_people<'a>(
        &'a self,
        realm: &'a str,
        after: &'a str,
        limit: u32,
    ) -> Answer<'a, Vec<Person>>;

    /// How many people have a credential in use.
    fn count_enrolled(&self) -> Answer<'_, u64>;

    /// Judges an answer: in one transaction admits it past the throttle, examines it, consumes the code or charges the
    /// failure, and writes the audit record with its outcome: `granted`, `wrong`, `replayed`, `delayed`, `exhausted` or
    /// `source-limited`. Of refused attempts at a person there is one record a minute.
    fn judge(&self, attempt: Attempt, guess: Box<dyn Guess>) -> Answer<'_, Judgement>;

    /// Adds a credential, making the person where there is none. Fails with [`StoreError::Exists`] if the name is taken
    /// or the person's record has another uid, [`StoreError::NotFirst`] if it may only be the first and is not, [`StoreError::Full`] at 16 credentials. Expired pending ones go.
    /// A new set of backup codes replaces the old one. Writes `record`.
    fn add_credential(
        &self,
        person: PersonKey,
        new: NewCredential,
        now: Now,
        record: Record,
    ) -> Answer<'_, Person>;

    /// Makes a pending credential count as the person's first (else [`StoreError::NotFirst`]; backup codes,
    /// which stand in for another, as the only set), with its moving factor at `moving`, if it has not expired. Writes `record`.
    fn activate(
        &self,
        person: PersonId,
        credential: CredentialId,
        moving: i64,
        now: Now,
        record: Record,
    ) -> Answer<'_, ()>;

    /// Gives a credential another name.
    fn rename_credential(
        &self,
        person: PersonId,
        credential: CredentialId,
        name: String,
        record: Record,
    ) -> Answer<'_, ()>;

    /// Forgets a credential. If none is left but backup codes, those go too.
    fn remove_credential(
        &self,
        person: PersonId,
        credential: CredentialId,
        record: Record,
    ) -> Answer<'_, ()>;

    /// Forgets a person and all about them but the audit trail.
    fn reset_person(&self, person: PersonId, record: Record) -> Answer<'_, ()>;

    /// Clears the person's delays and failures; with `clock`, also sets each TOTP high-water step that lies in the
    /// future back to about the current one (after a clock that had run ahead).
    fn unlock(&self, person: PersonId, clock: bool, now: Now, record: Record) -> Answer<'_, ()>;

    /// The person's guessing budgets.
    fn budgets(&self, person: PersonId, now: Now) -> Answer<'_, Vec<Budget>>;

    /// Notes a completed login: last login, failures since, source. May be written after it answers: losing it in a
    /// crash costs a trusted source, never safety.
    fn record_login(&self, login: Login) -> Answer<'static, ()>;

    /// Writes an audit record that goes with no other change. It is on its way when this returns, whether or not the
    /// answer is waited for.
    fn append_audit(&self, record: Record) -> Answer<'static, ()>;

    /// Audit records, oldest first, each as (sequence, time, JSON).
    fn audit(&self, filter: AuditFilter) -> Answer<'_, Vec<(i64, i64, String)>>;
}
