//! `mfad.toml`: the daemon's settings, each with a default and a range. It opens no file.

use std::time::Duration;

use mfad_protocol::{limits, names};
use policy::{
    Diagnostic, Source,
    document::{Document, Findings},
};

use super::{
    fido2::Fido2,
    risk::Risk,
    section::{DAY, HOUR, MINUTE, Section},
    trust::DeviceTrust,
};
use crate::{factor::otp::Hash, store::Options, throttle::Limits};

/// Largest `mfad.toml` that is read, in bytes.
pub const MAX_FILE: usize = 64 * 1024;
/// How long the daemon waits for work before it leaves, unless `[daemon] idle-exit` says otherwise.
pub const IDLE_EXIT: Duration = Duration::from_mins(1);

/// Longest prompt, in characters: clients such as `WinSCP` cut longer ones.
const LONGEST_PROMPT: usize = 80;
/// Longest issuer, in characters: apps show a line of it.
const LONGEST_ISSUER: usize = 64;

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the person is asked.
    pub prompt: Prompt,
    /// One-time codes.
    pub otp: Otp,
    /// Security keys.
    pub fido2: Fido2,
    /// Dialogues.
    pub session: Session,
    /// How often may be guessed.
    pub throttle: Limits,
    /// When an operator is alarmed.
    pub alarm: AlarmLimits,
    /// What makes a login unusual.
    pub risk: Risk,
    /// What ends the trust in devices.
    pub trust: DeviceTrust,
    /// The audit log.
    pub audit: Audit,
    /// The process.
    pub daemon: Daemon,
}

/// `[prompt]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Ends in a colon and a blank, which clients match on.
    pub text: String,
    /// Wrong answers that end a login.
    pub tries: u8,
}

/// `[otp]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otp {
    /// What authenticator apps show above the account.
    pub issuer: String,
    /// Hash of newly enrolled factors.
    pub algorithm: Hash,
    /// Digits of newly enrolled factors.
    pub digits: u8,
    /// Seconds a step of newly enrolled TOTP factors.
    pub period: u16,
    /// TOTP steps accepted on either side of the current one.
    pub skew: u16,
    /// HOTP counters accepted from the next one on.
    pub look_ahead: u16,
}

/// `[session]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// How long a person may take to answer.
    pub dialogue: Duration,
    /// Most dialogues at once.
    pub max: usize,
}

/// The alarms of `[throttle]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmLimits {
    /// More failures than this in a minute, over all people, raise an alarm.
    pub failures_per_minute: u32,
    /// Failures of more people than this in ten minutes raise an alarm.
    pub users_per_10_minutes: u32,
}

/// `[audit]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// How long the store keeps records.
    pub keep: Duration,
    /// Most records in the store; the oldest make room.
    pub max_records: u32,
    /// Whether records go to syslog too.
    pub syslog: bool,
}

/// `[daemon]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// How long it waits for work before it leaves, where somebody starts it again.
    pub idle_exit: Duration,
}

impl Settings {
    /// What holds without a file. `hostname` is what `%h` in the issuer stands for.
    pub fn defaults(hostname: &str) -> Self {
        Self::read(Source { name: "", text: "" }, hostname).0
    }

    /// Reads `mfad.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source: Source<'_>, hostname: &str) -> Result<Self, Vec<Diagnostic>> {
        let (settings, diagnostics) = Self::read(source, hostname);
        if diagnostics.is_empty() {
            Ok(settings)
        } else {
            Err(diagnostics)
        }
    }

    /// What the store needs to know.
    pub fn store_options(&self) -> Options {
        Options {
            limits: self.throttle,
            audit_keep: i64::try_from(self.audit.keep.as_secs()).unwrap_or(i64::MAX),
            audit_records: self.audit.max_records,
            history_keep: self.risk.settings.keep,
            failure_window: self.risk.settings.failure_window,
        }
    }

    /// Settings, with defaults for whatever is missing or wrong.
    fn read(source: Source<'_>, hostname: &str) -> (Self, Vec<Diagnostic>) {
        let mut findings = Findings::new(source);
        let document = Document::parse(source, MAX_FILE, &mut findings);
        let root = document
            .as_ref()
            .map(|document| document.root(names::SETTINGS_FILE));
        let mut section = |key, what| Section::of(root.as_ref(), key, what, &mut findings);
        let sections = (
            section("prompt", "[prompt]"),
            section("otp", "[otp]"),
            section("fido2", "[fido2]"),
            section("session", "[session]"),
            section("throttle", "[throttle]"),
            section("risk", "[risk]"),
            section("trust", "[trust]"),
            section("audit", "[audit]"),
            section("daemon", "[daemon]"),
        );
        let (prompt, otp, fido2, session, throttle, risk, trust, audit, daemon) = sections;
        let (throttle, alarm) = read_throttle(throttle, &mut findings);
        let settings = Self {
            prompt: Prompt::read(prompt, &mut findings),
            otp: Otp::read(otp, hostname, &mut findings),
            fido2: Fido2::read(fido2, &mut findings),
            session: Session::read(session, &mut findings),
            throttle,
            alarm,
            risk: Risk::read(risk, &mut findings),
            trust: DeviceTrust::read(trust, &mut findings),
            audit: Audit::read(audit, &mut findings),
            daemon: Daemon::read(daemon, &mut findings),
        };
        if let Some(root) = root {
            root.finish(&mut findings);
        }
        (settings, findings.into_diagnostics())
    }
}

impl Prompt {
    fn read(section: Section<'_>, findings: &mut Findings<'_>) -> Self {
        let default = "Verification code: ";
        let prompt = Self {
            text: section.text("text", default, unfit_for_a_prompt, findings),
            tries: section.small("tries", 1..=3, 1, findings),
        };
        section.finish(findings);
        prompt
    }
}

fn unfit_for_a_prompt(text: &str) -> Option<String> {
    if mfad_protocol::printable(text) != text {
        return Some("holds control or invisible characters, or is too long".into());
    }
    if text.chars().count() > LONGEST_PROMPT {
        let message =
            format!("is longer than {LONGEST_PROMPT} characters; many clients show one line");
        return Some(message);
    }
    let fits = text.ends_with(": ") && text.trim() != ":";
    (!fits).then(|| {
        "must be a few words, a colon and a blank, as in \"Verification code: \": clients match on it"
            .into()
    })
}

impl Otp {
    fn read(section: Section<'_>, hostname: &str, findings: &mut Findings<'_>) -> Self {
        let issuer = section.text("issuer", "%h", unfit_for_an_issuer, findings);
        let algorithm = section.take("algorithm").and_then(|value| {
            let word = value.string(findings)?;
            let known = [Hash::Sha1, Hash::Sha256, Hash::Sha512];
            let hash = known.into_iter().find(|hash| hash.word() == word);
            if hash.is_none() {
                value.error(
                    findings,
                    "`algorithm` must be \"SHA1\", \"SHA256\" or \"SHA512\"",
                );
            }
            hash
        });
        let otp = Self {
            issuer: issuer.replace("%h", hostname),
            algorithm: algorithm.unwrap_or(Hash::Sha1),
            digits: section.small("digits", 6..=8, 6, findings),
            period: section.small("period", 15..=120, 30, findings).into(),
            skew: section.small("skew", 0..=2, 1, findings).into(),
            look_ahead: section.small("look-ahead", 1..=10, 5, findings).into(),
        };
        section.finish(findings);
        otp
    }
}

fn unfit_for_an_issuer(text: &str) -> Option<String> {
    if mfad_protocol::printable(text) != text || text.trim() != text || text.is_empty() {
        return Some("must be text that can be seen, with no blanks at its ends".into());
    }
    if text.contains(':') {
        return Some("must not hold a colon: in otpauth:// URIs it ends the issuer".into());
    }
    (text.chars().count() > LONGEST_ISSUER)
        .then(|| format!("is longer than {LONGEST_ISSUER} characters"))
}

impl Session {
    fn read(section: Section<'_>, findings: &mut Findings<'_>) -> Self {
        let session = Self {
            dialogue: Duration::from_secs(section.seconds(
                "dialogue",
                10..=*limits::TIMEOUT.end(),
                limits::DIALOGUE.as_secs(),
                findings,
            )),
            max: section.number("max", 8..=1_024, 256, findings) as usize,
        };
        section.finish(findings);
        session
    }
}

impl Audit {
    fn read(section: Section<'_>, findings: &mut Findings<'_>) -> Self {
        let default = Options::default();
        let keep = default.audit_keep.unsigned_abs();
        let audit = Self {
            keep: Duration::from_secs(section.seconds("keep", DAY..=3_650 * DAY, keep, findings)),
            max_records: section.number(
                "max-records",
                1_000..=10_000_000,
                default.audit_records,
                findings,
            ),
            syslog: section.boolean("syslog", true, findings),
        };
        section.finish(findings);
        audit
    }
}

impl Daemon {
    fn read(section: Section<'_>, findings: &mut Findings<'_>) -> Self {
        let idle_exit = section.seconds("idle-exit", 5..=DAY, IDLE_EXIT.as_secs(), findings);
        section.finish(findings);
        Self {
            idle_exit: Duration::from_secs(idle_exit),
        }
    }
}

/// Reads `[throttle]`.
fn read_throttle(section: Section<'_>, findings: &mut Findings<'_>) -> (Limits, AlarmLimits) {
    let default = Limits::default();
    let mut seconds = |key, range, default: i64| {
        let seconds = section.seconds(key, range, default.unsigned_abs(), findings);
        i64::try_from(seconds).unwrap_or(default)
    };
    let first_delay = seconds("first-delay", 1..=HOUR, default.first_delay);
    let max_delay = seconds("max-delay", MINUTE..=DAY, default.max_delay);
    let window = seconds("window", DAY..=365 * DAY, default.window);
    let limits = Limits {
        free: section.number("free", 0..=10, default.free, findings),
        first_delay,
        max_delay,
        limit: section.number("limit", 1..=100, default.limit, findings),
        window,
        reserve_trusted: section.number(
            "reserve-trusted",
            0..=50,
            default.reserve_trusted,
            findings,
        ),
        reserve_local: section.number("reserve-local", 0..=50, default.reserve_local, findings),
        source_per_hour: section.number(
            "source-per-hour",
            1..=1_000,
            default.source_per_hour,
            findings,
        ),
        source_entries: section.number(
            "source-entries",
            1_024..=1_048_576,
            default.source_entries,
            findings,
        ),
    };
    let alarm = AlarmLimits {
        failures_per_minute: section.number("alarm-failures-per-minute", 1..=10_000, 60, findings),
        users_per_10_minutes: section.number(
            "alarm-users-per-10-minutes",
            1..=10_000,
            10,
            findings,
        ),
    };
    if let Some(span) = section.span() {
        if limits.first_delay > limits.max_delay {
            findings.error(span.clone(), "`first-delay` is longer than `max-delay`");
        }
        if limits.reserve_trusted + limits.reserve_local >= limits.limit {
            let message = "`reserve-trusted` and `reserve-local` together leave nothing of `limit` for other sources";
            findings.error(span.clone(), message);
        }
    }
    section.finish(findings);
    (limits, alarm)
}
