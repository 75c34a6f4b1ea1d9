//! What must survive a crash, as verbs that state invariants.
//!
//! Each verb is atomic, and durable before it answers (only [`Store::record_login`] may lag): no caller ever reads,
//! decides and then writes. The store decides nothing about policy and holds no key; what is secret arrives sealed.

mod error;
mod judging;
mod login;
pub mod seal;
pub mod sqlite;
mod trust;

use std::{future::Future, pin::Pin};

use crate::{
    audit::Record,
    clock::Now,
    throttle::{self, Class, Lane, Place},
};

pub use error::StoreError;
pub use judging::{Attempt, Guess, Judgement, Match};
pub use login::{Lesson, Login, Recollection};
pub use trust::{
    BindKind, Binding, Device, DeviceId, LONGEST_LABEL, MOST_DEVICES, NewDevice, Proof, SessionKey,
};

/// A verb's answer, some time later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

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
    /// When a login was last completed, seconds since the epoch.
    pub last_login: Option<i64>,
    /// When a login with a second factor was last completed, seconds since the epoch.
    pub last_mfa: Option<i64>,
    /// Failed attempts since that one.
    pub failures_since: u32,
    /// The kind of factor that they want to be asked for first.
    pub preferred: Option<String>,
    /// What they ask for beyond the policy, in its own syntax.
    pub requirement: Option<String>,
}

impl Person {
    /// The kinds of factors that they can use, each once.
    pub fn kinds(&self) -> Vec<Kind> {
        let usable = |kind: &Kind| {
            let mut credentials = self.credentials.iter();
            credentials.any(|credential| {
                credential.kind == *kind && credential.standing == Standing::Active
            })
        };
        Kind::ALL.into_iter().filter(usable).collect()
    }

    /// How many backup codes are left; `None` without a set of them.
    pub fn codes_left(&self) -> Option<usize> {
        let sets = self.credentials.iter();
        let mut sets = sets.filter(|credential| credential.kind == Kind::BackupCodes);
        let first = sets.next()?;
        Some(sets.fold(first.codes.len(), |left, set| left + set.codes.len()))
    }
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
    /// A FIDO2 authenticator plugged into this machine (CTAP 2).
    Fido2,
    /// An SSH key that a FIDO authenticator keeps (OpenSSH, PROTOCOL.u2f), known by sshd's word or through an agent.
    SshSk,
    /// Any other SSH key in an agent.
    SshAgent,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 6] = [
        Self::Totp,
        Self::Hotp,
        Self::BackupCodes,
        Self::Fido2,
        Self::SshSk,
        Self::SshAgent,
    ];

    /// The word for it in commands, policy and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Hotp => "hotp",
            Self::BackupCodes => "backup-codes",
            Self::Fido2 => "fido2",
            Self::SshSk => "ssh-sk",
            Self::SshAgent => "ssh-agent",
        }
    }

    /// The kind that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The guessing budget it draws on.
    pub const fn class(self) -> Class {
        match self {
            Self::Totp | Self::Hotp => Class::Otp,
            Self::BackupCodes => Class::BackupCodes,
            Self::Fido2 | Self::SshSk | Self::SshAgent => Class::Key,
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
    /// Backup codes: unused. Keys: the last signature counter (W3C Web Authentication 3 §6.1.1), 0 before the first. It never goes
    /// back, except by [`Store::unlock`] with `clock`.
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
    /// Only with a smaller sequence number.
    pub before: Option<i64>,
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
    /// How long what was learned of a person's logins is kept, in seconds.
    pub history_keep: i64,
    /// How long a failure is recent, in seconds; at most an hour.
    pub failure_window: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: throttle::Limits::default(),
            audit_keep: 90 * 86_400,
            audit_records: 100_000,
            history_keep: 90 * 86_400,
            failure_window: 3_600,
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

    /// At most `limit` people of any realm whose ids are greater than `after`, in the order of their ids.
    fn people_after(&self, after: PersonId, limit: u32) -> Answer<'_, Vec<Person>>;

    /// Puts another seal of the same secret in the place of `old`, whatever else of the credential has changed meanwhile;
    /// `false` if `old` is no longer there.
    fn reseal(
        &self,
        person: PersonId,
        credential: CredentialId,
        old: Vec<u8>,
        new: Vec<u8>,
    ) -> Answer<'_, bool>;

    /// The number of the key with which all records were known to be sealed when that was last noted.
    fn sealed_with(&self) -> Answer<'_, Option<u8>>;

    /// Notes it. Whoever seals with another key from then on must note that again.
    fn note_sealed_with(&self, key: u8, record: Record) -> Answer<'_, ()>;

    /// How many people have a credential in use.
    fn count_enrolled(&self) -> Answer<'_, u64>;

    /// Whether a verb could write now: writes what is there already, durably.
    fn probe(&self) -> Answer<'_, ()>;

    /// Judges an answer: in one transaction admits it past the throttle, examines it, consumes the code or charges the
    /// failure, and writes the audit record with its outcome: `granted`, `wrong`, `replayed`, `cloned`, `delayed`,
    /// `exhausted` or `source-limited`. Of refused attempts at a person there is one record a minute.
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

    /// Forgets a credential, and what may have been earned with it: remembered devices and proofs of sessions. If none
    /// is left but backup codes, those go too.
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

    /// Sets the kind of factor that the person wants to be asked for first; at most 64 bytes.
    fn set_preferred(
        &self,
        person: PersonId,
        kind: Option<String>,
        record: Record,
    ) -> Answer<'_, ()>;

    /// Sets what the person asks for beyond the policy; at most 4 KiB ([`StoreError::Full`]).
    fn set_requirement(
        &self,
        person: PersonId,
        text: Option<String>,
        record: Record,
    ) -> Answer<'_, ()>;

    /// Remembers a device, in the place of the same one remembered before. Expired ones go, and beyond
    /// [`MOST_DEVICES`] the oldest. Only for a login that is complete: the account phase. Writes `record`.
    fn remember_device(
        &self,
        person: PersonId,
        device: NewDevice,
        now: Now,
        record: Record,
    ) -> Answer<'_, ()>;

    /// Those of `devices` (the first 32) that the person had remembered and that have not expired.
    fn find_devices(
        &self,
        person: PersonId,
        devices: Vec<DeviceId>,
        now: Now,
    ) -> Answer<'_, Vec<Device>>;

    /// All of the person's remembered devices that have not expired, oldest first.
    fn list_devices(&self, person: PersonId, now: Now) -> Answer<'_, Vec<Device>>;

    /// Forgets one remembered device. Writes `record`.
    fn revoke_device(&self, person: PersonId, device: DeviceId, record: Record) -> Answer<'_, ()>;

    /// Forgets all of a person's remembered devices and proofs of sessions, and says how many devices there were. Writes
    /// `record` if there was anything.
    fn revoke_devices(&self, person: PersonId, record: Record) -> Answer<'_, u32>;

    /// Notes that the person has proven these kinds of factors (8 at most) in this login session just now. Proofs older than a week go, and
    /// beyond 64 the oldest. Only for a login that is complete.
    fn record_proof(
        &self,
        person: PersonId,
        session: SessionKey,
        kinds: Vec<String>,
        now: Now,
    ) -> Answer<'_, ()>;

    /// What the person has proven in this login session, and when. Nothing from the future.
    fn proofs(&self, person: PersonId, session: SessionKey, now: Now) -> Answer<'_, Vec<Proof>>;

    /// What is remembered of the person's logins and recent failures, for a login from `place`. What has expired does
    /// not count.
    fn recall(&self, person: PersonId, place: Place, now: Now) -> Answer<'_, Recollection>;

    /// Notes a completed login: last login, failures since, source, history. May be written after it answers: losing it in a
    /// crash costs a trusted source and a line of history, never safety.
    fn record_login(&self, login: Login) -> Answer<'static, ()>;

    /// Writes an audit record that goes with no other change. It is on its way when this returns, whether or not the
    /// answer is waited for.
    fn append_audit(&self, record: Record) -> Answer<'static, ()>;

    /// Audit records, oldest first, each as (sequence, time, JSON).
    fn audit(&self, filter: AuditFilter) -> Answer<'_, Vec<(i64, i64, String)>>;
}
