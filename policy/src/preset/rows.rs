//! The requirements of each preset, as a table.

use super::{Preset, Standing, Throttle, demands::shown};
use crate::{Fact, Policy, UnenrolledAction, Verdict, requirement::Requirement};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

const OWN: &str = "this preset";
const AAL: &str = "NIST SP 800-63B-4 §2";
const AAL2: &str = "NIST SP 800-63B-4 §2.2";
const AAL3: &str = "NIST SP 800-63B-4 §2.3";
const SESSIONS: &str = "NIST SP 800-63B-4 §5.1";
const THROTTLING: &str = "NIST SP 800-63B-4 §3.2.2";

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it comes from.
    pub source: &'static str,
    /// What it is.
    pub text: &'static str,
    /// How it stands.
    pub standing: Standing,
}

fn row(source: &'static str, text: &'static str, lacking: Option<String>) -> Row {
    let standing = lacking.map_or(Standing::Met, Standing::Lacking);
    Row {
        source,
        text,
        standing,
    }
}

const fn beyond(source: &'static str, text: &'static str) -> Row {
    Row {
        source,
        text,
        standing: Standing::Beyond,
    }
}

// What several presets demand alike.

const NOTICE: Row = beyond(
    "NIST SP 800-63B-4 §4.6",
    "users are told when a factor is added or recovered",
);

fn asked(source: &'static str, policy: &Policy) -> Row {
    let text = "every login is asked for a second factor, and no rule can exempt one";
    row(source, text, exemptions(policy))
}

fn without_place_or_risk(policy: &Policy) -> Row {
    let text = "place and risk stand in for no factor";
    row(AAL, text, standing_in(policy))
}

fn without_devices(source: &'static str, policy: &Policy) -> Row {
    let text = "no remembered device stands in for a factor";
    row(source, text, remembered(policy))
}

fn enrolled(source: &'static str, policy: &Policy) -> Row {
    let text = "whoever has no factor does not come in without enrolling one";
    row(source, text, let_in(policy))
}

fn renewed(throttle: &Throttle) -> Row {
    let text = "at most 100 failures, then the factor must be renewed";
    row(THROTTLING, text, unthrottled(throttle))
}

pub(super) fn of(policy: &Policy, preset: Preset, throttle: &Throttle) -> Vec<Row> {
    match preset {
        Preset::Home => home(policy),
        Preset::Aal2 => aal2(policy, throttle),
        Preset::Aal3 => aal3(policy, throttle),
        Preset::Pci => pci(policy, throttle),
    }
}

fn home(policy: &Policy) -> Vec<Row> {
    let root = "root is always asked for a factor";
    let risk = "a login of high risk is asked for a factor, whatever is exempt or remembered";
    let remembered = "a device is remembered for 30 days at most";
    vec![
        row(OWN, root, missing(policy.of_root(), "root's logins")),
        row(
            OWN,
            risk,
            missing(policy.of_high_risk(), "logins of high risk"),
        ),
        row(
            OWN,
            remembered,
            policy
                .remembering(30 * DAY)
                .map(|rules| format!("longer in {rules}")),
        ),
        enrolled(OWN, policy),
    ]
}

fn aal2(policy: &Policy, throttle: &Throttle) -> Vec<Row> {
    vec![
        asked(AAL2, policy),
        row(
            AAL2,
            "the two factors are of different types: after anything but a password, one that verifies its user",
            one_type(policy),
        ),
        without_place_or_risk(policy),
        without_devices(SESSIONS, policy),
        row(
            "NIST SP 800-63B-4 §2.2, §5.2",
            "a factor proven earlier in the session counts for an hour at most",
            too_old(policy, HOUR),
        ),
        enrolled(AAL2, policy),
        renewed(throttle),
        beyond(AAL2, "users are offered a factor that withstands phishing"),
        beyond(
            "NIST SP 800-63B-4 §2.2, §5.2",
            "sessions end after 24 hours, and after an hour without activity",
        ),
        NOTICE,
        beyond(
            "NIST SP 800-63B-4 §3.1.1",
            "passwords are at least 15 characters long where they are the only factor, else 8",
        ),
    ]
}

fn aal3(policy: &Policy, throttle: &Throttle) -> Vec<Row> {
    let strong = |what: fn(&Requirement) -> bool, text: &str| {
        let every = policy.of_every_login();
        let held = every.is_some_and(|require| what(&require));
        (!held).then(|| format!("no floor without conditions demands {text}"))
    };
    vec![
        asked(AAL3, policy),
        row(
            AAL3,
            "it withstands phishing",
            strong(
                |require| require.phishing_resistant,
                "`phishing-resistant = true`",
            ),
        ),
        row(
            AAL3,
            "it verifies its user, so that it is two factors even after a key",
            strong(|require| require.user_verified, "`user-verified = true`"),
        ),
        without_place_or_risk(policy),
        without_devices(SESSIONS, policy),
        row(
            "NIST SP 800-63B-4 §2.3, §5.2",
            "a factor proven earlier in the session counts for 15 minutes at most",
            too_old(policy, 15 * MINUTE),
        ),
        row(
            AAL3,
            "whoever has no factor is refused: it is bound by somebody who knows them",
            (!policy.unenrolled_is(&[UnenrolledAction::Deny]))
                .then(|| "[unenrolled] does not say `action = \"deny\"`".to_owned()),
        ),
        renewed(throttle),
        beyond(
            AAL3,
            "the key of the factor cannot be exported, and its hardware is validated (FIPS 140)",
        ),
        beyond(
            "NIST SP 800-63B-4 §2.3, §5.2",
            "sessions end after 12 hours, and after 15 minutes without activity",
        ),
        NOTICE,
    ]
}

fn pci(policy: &Policy, throttle: &Throttle) -> Vec<Row> {
    vec![
        row(
            "PCI DSS 8.4.1, 8.4.2, 8.4.3, 8.5.1",
            "every login is asked for a second factor, and no rule can exempt anybody, administrators included",
            exemptions(policy),
        ),
        row(
            "PCI DSS 8.5.1",
            "two different types of factors: after anything but a password, one that verifies its user",
            one_type(policy),
        ),
        without_devices("PCI DSS 8.5.1", policy),
        row(
            "PCI DSS 8.2.8",
            "a factor proven earlier in the session counts for 15 minutes at most",
            too_old(policy, 15 * MINUTE),
        ),
        enrolled("PCI DSS 8.4", policy),
        row(
            "PCI DSS 8.3.4",
            "after 10 failures at most, 30 minutes at least without another try",
            locks_late(throttle),
        ),
        beyond(
            "PCI DSS 8.5.1",
            "an exception is documented, authorized by management and limited in time",
        ),
        beyond(
            "PCI DSS 8.2.8",
            "a session without activity for 15 minutes asks for everything again",
        ),
        beyond(
            "PCI DSS 8.3.6",
            "passwords have 12 characters at least, letters and digits",
        ),
        beyond("PCI DSS 10.5.1", "audit trails are kept for 12 months"),
    ]
}

/// What is in the way of asking every login.
fn exemptions(policy: &Policy) -> Option<String> {
    if policy.of_every_login().is_some() {
        return None;
    }
    let exempt = policy.named(|rule| rule.verdict == Verdict::NotRequired);
    let exempt = exempt.map_or_else(String::new, |rules| {
        format!("; exempt are those of {rules}")
    });
    Some(format!(
        "no floor without conditions demands a factor{exempt}"
    ))
}

fn one_type(policy: &Policy) -> Option<String> {
    let verified = policy
        .without_password()
        .is_some_and(|require| require.user_verified);
    (!verified).then(|| {
        "no floor for `not = { first-factor = \"password\" }`, or for every login, demands `user-verified = true`: a key \
         and a code are both something that one has"
            .to_owned()
    })
}

/// Place and risk can only add to a floor that holds for every login.
fn standing_in(policy: &Policy) -> Option<String> {
    if policy.of_every_login().is_some() {
        return None;
    }
    let places = [
        Fact::Network,
        Fact::Country,
        Fact::Seat,
        Fact::Tty,
        Fact::Device,
        Fact::Risk,
        Fact::Time,
        Fact::LastMfa,
        Fact::LastLogin,
    ];
    let rules = policy.named(|rule| {
        rule.verdict == Verdict::NotRequired && rule.when.facts().contains_any(&places)
    });
    rules.map(|rules| format!("they do in {rules}"))
}

fn remembered(policy: &Policy) -> Option<String> {
    policy
        .remembering(0)
        .map(|rules| format!("`remember` in {rules}"))
}

/// An older proof would do for every floor, and for some rule that may decide.
fn too_old(policy: &Policy, limit: u32) -> Option<String> {
    let old = |require: &Requirement| require.max_age.is_some_and(|age| age > limit);
    let allowed = match policy.of_every_login() {
        Some(require) => old(&require),
        None => true,
    };
    let rules = policy.named(|rule| {
        matches!(&rule.verdict, Verdict::Require(require) if old(require)) && !rule.floor
    });
    let floors = policy.named(|rule| {
        matches!(&rule.verdict, Verdict::Require(require) if old(require)) && rule.floor
    });
    let found = rules.or(floors).filter(|_| allowed)?;
    Some(format!("longer than {} in {found}", shown(limit)))
}

fn let_in(policy: &Policy) -> Option<String> {
    policy
        .unenrolled_is(&[UnenrolledAction::Allow])
        .then(|| "[unenrolled] lets them in: `action = \"allow\"`".to_owned())
}

fn missing(found: Option<Requirement>, whom: &str) -> Option<String> {
    found
        .is_none()
        .then(|| format!("no floor for {whom} alone, or for every login, demands a factor"))
}

fn unthrottled(throttle: &Throttle) -> Option<String> {
    (throttle.limit > 100).then(|| format!("[throttle] limit is {}", throttle.limit))
}

fn locks_late(throttle: &Throttle) -> Option<String> {
    let delay = throttle.delay_after(10);
    (delay < 30 * MINUTE).then(|| {
        format!(
            "with this [throttle], the 10th failure in a row is followed by {} of delay",
            shown(delay)
        )
    })
}
