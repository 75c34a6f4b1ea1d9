//! What `mfactl` and `mfad` tell each other about factors, users and the daemon itself.
//!
//! Times are seconds since the epoch (UTC). Nothing here is a secret but the offer of an enrollment, which is shown once.

use zbus::{DeserializeDict, SerializeDict, Type};

/// One factor of a user, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct CredentialInfo {
    /// Unique in the store.
    pub id: String,
    /// A word of [`factors`](crate::factors).
    pub kind: String,
    /// What the user calls it.
    pub name: String,
    /// When it was enrolled.
    pub created: i64,
    /// When it last let its user in.
    pub last_used: Option<i64>,
    /// Parameters worth showing: algorithm, digits and period, as in `SHA1, 6 digits, 30 s`.
    pub detail: Option<String>,
    /// For backup codes: how many are left.
    pub left: Option<u32>,
}

/// How much of a guessing budget is spent.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct BudgetInfo {
    /// `otp`, `backup-codes` or `key`.
    pub class: String,
    /// Failures in the last 30 days.
    pub failures: u32,
    /// How many failures in 30 days disable the class.
    pub limit: u32,
    /// Until when a lane is delayed, if any is; the latest of them.
    pub delayed_until: Option<i64>,
    /// The class accepts nothing until an administrator unlocks it. Only `otp` ever is.
    pub disabled: bool,
}

/// A user as the daemon knows them.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct UserInfo {
    /// Login name.
    pub user: String,
    /// Numeric id at enrollment.
    pub uid: u32,
    /// Whether at least one factor can be used.
    pub enrolled: bool,
    /// Factors, oldest first.
    pub credentials: Vec<CredentialInfo>,
    /// Guessing budgets.
    pub budgets: Vec<BudgetInfo>,
    /// When the last login with a second factor was completed.
    pub last_login: Option<i64>,
    /// The kind of factor that they want to be asked for first.
    pub preferred: Option<String>,
    /// What they demand beyond the policy, in its syntax.
    pub requirement: Option<String>,
}

/// A remembered device.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct DeviceInfo {
    /// What to call it in `mfactl trust revoke`: the first 16 digits of its id.
    pub id: String,
    /// What it is recognized by: `ssh-key SHA256:…, service sshd`.
    pub label: String,
    /// When its user proved a factor from it.
    pub created: i64,
    /// When it is forgotten.
    pub expires: i64,
    /// When it last stood for a factor.
    pub last_used: Option<i64>,
}

/// What to enroll. Unset fields take the defaults of `mfad.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct EnrollmentOptions {
    /// What the user will call it; made unique if left out.
    pub name: Option<String>,
    /// `SHA1`, `SHA256` or `SHA512`.
    pub algorithm: Option<String>,
    /// 6 to 8.
    pub digits: Option<u32>,
    /// TOTP period in seconds, 15 to 120.
    pub period: Option<u32>,
    /// SSH keys: which one, as a line of `authorized_keys` without options; at most [`limits::KEY`](crate::limits::KEY)
    /// bytes.
    ///
    /// `fido2`, for an administrator: a credential as pam_u2f keeps it (all after the user's name and its colon).
    pub key: Option<String>,
    /// `fido2` with `key`: for whom that credential was made.
    pub rp_id: Option<String>,
    /// `fido2`: the key must know its owner (PIN, finger) each time.
    pub verify: Option<bool>,
    /// `fido2`: the key shall keep the credential itself.
    pub resident: Option<bool>,
    /// `fido2`: a certificate of its maker must stand for the key.
    pub attested: Option<bool>,
}

/// What a new factor's owner must see once. It holds secrets: show it, never log it.
#[derive(Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct EnrollmentOffer {
    /// Names the enrollment in `Confirm`; for an administrator's enrollment, the new credential.
    pub id: String,
    /// A word of [`factors`](crate::factors).
    pub kind: String,
    /// What it will be called.
    pub name: String,
    /// `otpauth://` URI for TOTP and HOTP.
    pub uri: Option<String>,
    /// Base32 secret of TOTP and HOTP, for typing.
    pub secret: Option<String>,
    /// Backup codes, in order.
    pub codes: Option<Vec<String>>,
}

impl std::fmt::Debug for EnrollmentOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrollmentOffer")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Which audit records to return.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct AuditQuery {
    /// Only this user's.
    pub user: Option<String>,
    /// Only those at or after this time.
    pub since: Option<i64>,
    /// Only those with a greater sequence number (to follow).
    pub after: Option<i64>,
    /// Only those with a smaller sequence number (to read backwards, page by page).
    pub before: Option<i64>,
    /// At most so many, the newest ones; 1 to 1,000.
    pub limit: Option<u32>,
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct DaemonStatus {
    /// Version of the package.
    pub version: String,
    /// Protocol spoken.
    pub protocol: u32,
    /// When it was started.
    pub started: i64,
    /// Users with at least one factor; absent while the store cannot be asked.
    pub enrolled: Option<u64>,
    /// Dialogues in progress.
    pub sessions: u32,
    /// Rules in force; absent while there is no policy in force.
    pub rules: Option<u32>,
    /// What is wrong and what to do, a line each; empty when all is well.
    pub problems: Vec<String>,
    /// Rules of the policy in the shadow; absent if none is evaluated.
    pub shadow_rules: Option<u32>,
    /// Why the policy in the shadow is not evaluated, though there is one.
    pub shadow_problems: Option<Vec<String>>,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct ReloadReport {
    /// Whether the files on disk are now in force.
    pub applied: bool,
    /// What is wrong with them, as `file:line:column: what`.
    pub errors: Vec<String>,
}

/// The login for which the policy is to be explained: one of the past, or one that is thought of. What is left out is
/// looked up where the machine knows it, and is not known otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct ExplainQuery {
    /// Sequence number of the audit record of a past login. Nothing else is named then.
    pub audit: Option<i64>,
    /// Who logs in; required without `audit`.
    pub user: Option<String>,
    /// At which PAM service; required without `audit`.
    pub service: Option<String>,
    /// su with the caller as its subject: the account that is switched to.
    pub target: Option<String>,
    /// The far end: an address or a name, or `local`.
    pub rhost: Option<String>,
    /// The terminal.
    pub tty: Option<String>,
    /// The seat, or `none`.
    pub seat: Option<String>,
    /// `password`, `publickey`, `certificate`, `sk-key`.
    pub first: Option<Vec<String>>,
    /// Fingerprint of the key that is proven: `SHA256:…`.
    pub key: Option<String>,
    /// The same as a whole key or certificate: its type and its base64.
    pub public_key: Option<String>,
    /// Two letters, or `none`.
    pub country: Option<String>,
    /// `known` or `new`.
    pub device: Option<String>,
    /// `none`, `low`, `medium` or `high`; without it, what the signals weigh.
    pub risk: Option<String>,
    /// Signals of risk.
    pub signals: Option<Vec<String>>,
    /// Seconds since the last second factor; -1: never.
    pub last_mfa: Option<i64>,
    /// When.
    pub at: Option<i64>,
}

/// What the policy in force says of a login, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct PolicyExplanation {
    /// Whose factor is asked for.
    pub user: String,
    /// PAM service, lower case.
    pub service: String,
    /// When the login takes or took place.
    pub at: i64,
    /// What becomes of it: `not-required`, `ask`, `enroll` or `deny`.
    pub outcome: String,
    /// The same in a sentence.
    pub detail: String,
    /// What the policy demands, as the value of `require`.
    pub require: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Facts that were not known and could have made the decision another one.
    pub unknown: Vec<String>,
    /// Kinds of factors that the user has.
    pub enrolled: Vec<String>,
    /// `deny`, `allow` or `enroll`: what the policy does at that time with who has none.
    pub unenrolled: String,
    /// How a device may stand in for the factor, and whether this one does; in a sentence.
    pub remember: Option<String>,
    /// For each condition: its key, what the login has in its place, and where that is from: `given`, `looked-up`,
    /// `recorded`, `unknown` or `not-asked`.
    pub facts: Vec<(String, String, String)>,
    /// Steps, rules and conditions as a JSON object.
    pub reasons: String,
    /// Of a past login: its record, as a JSON object.
    pub record: Option<String>,
    /// Of a past login: what comes out differently now than it did then, a sentence each.
    pub differences: Option<Vec<String>>,
}
