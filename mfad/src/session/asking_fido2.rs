//! Asks the security keys of this machine, through the helper, for a signature of a key that the person has enrolled, and
//! looks at what comes back: nothing that the helper says counts until a signature verifies.

use std::time::Instant;

use mfad_protocol::fido::{
    Assert, Assertion, Bytes, Declined, Failure, Outcome, Pin, Progress, Request, Wanted,
};
use tokio::sync::mpsc;

use super::{keying::Asked, keys::PluggedKey};
use crate::{
    factor::{
        Evidence,
        fido2::{self, ClientData, Expected},
        ssh_key::SignatureGuess,
    },
    helper::{Helper, Warm},
    store::Kind,
};

/// What is asked.
pub(super) struct Question {
    /// Of which keys.
    pub keys: Vec<PluggedKey>,
    /// The key must have known its user.
    pub user_verified: bool,
    /// The helper that has started for it, if one has.
    pub warm: Warm,
    /// What was typed as the PIN of the one key that is asked.
    pub pin: Option<Pin>,
    /// How long a key is waited for.
    pub until: Instant,
}

/// Asks, in the time that there is.
pub(super) async fn ask(helper: Helper, question: Question, news: mpsc::Sender<Progress>) -> Asked {
    let Some((client_data, request)) = challenge(&question) else {
        return Asked::nothing("No key can be asked.", "no challenge could be made");
    };
    let outcome = helper
        .ask(&request, &question.warm, question.until, &news)
        .await;
    match outcome {
        Ok(Outcome::Asserted(assertion)) => weigh(&question, &client_data, &assertion),
        Ok(Outcome::Declined(declined)) => failed_at(&question, declined),
        Ok(Outcome::Failed(failure)) => failed(&question.keys, failure),
        Ok(Outcome::Made(_) | Outcome::Keys(_)) => Asked::nothing(
            "The security key cannot be asked.",
            "the helper answers another question",
        ),
        Err(error) => Asked::nothing("The security key cannot be asked.", error.to_string()),
    }
}

/// One challenge for all the keys that may answer.
fn challenge(question: &Question) -> Option<(Vec<ClientData>, Request)> {
    let challenge = fido2::challenge().ok()?;
    let client_data = question
        .keys
        .iter()
        .map(|key| ClientData::to_get(&key.registered.rp_id, &challenge))
        .collect::<Result<Vec<ClientData>, _>>()
        .ok()?;
    let wanted = question.keys.iter().zip(&client_data);
    let wanted = wanted.map(|(key, data)| Wanted {
        rp_id: key.registered.rp_id.clone(),
        credential: Bytes(key.registered.id.clone()),
        client_data: Bytes(data.as_bytes().to_vec()),
        verify: key.registered.verify,
    });
    let left = question.until.saturating_duration_since(Instant::now());
    let request = Request::Assert(Assert {
        wanted: wanted.collect(),
        verify: question.user_verified,
        pin: question.pin.clone(),
        timeout_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
    });
    Some((client_data, request))
}

/// How the key that was asked is called in a sentence.
fn named(keys: &[PluggedKey]) -> String {
    match keys {
        [one] => format!("security key \"{}\"", one.name),
        _ => "security key".to_owned(),
    }
}

fn weigh(question: &Question, client_data: &[ClientData], assertion: &Assertion) -> Asked {
    let place = usize::try_from(assertion.wanted).unwrap_or(usize::MAX);
    let (Some(key), Some(client_data)) = (question.keys.get(place), client_data.get(place)) else {
        return Asked::nothing(
            "The security key cannot be asked.",
            "the helper names a key that nobody asked for",
        );
    };
    let expected = Expected {
        registered: &key.registered,
        client_data,
        verify: question.user_verified,
    };
    match fido2::verify(expected, &assertion.auth_data.0, &assertion.signature.0) {
        Ok(proven) => Asked::Signed {
            guess: SignatureGuess::counted(key.credential, proven.counter),
            evidence: Evidence {
                kind: Kind::Fido2,
                // Signed for this machine's relying party, and asked for at this machine.
                phishing_resistant: true,
                user_verified: proven.user_verified,
            },
            detail: None,
        },
        Err(refusal) => Asked::Signed {
            guess: SignatureGuess::wrong(),
            evidence: Kind::Fido2.into(),
            detail: Some(refusal.word()),
        },
    }
}

/// What one of the keys said.
fn failed_at(question: &Question, declined: Declined) -> Asked {
    let place = usize::try_from(declined.wanted).unwrap_or(usize::MAX);
    match question.keys.get(place) {
        Some(key) => failed(std::slice::from_ref(key), declined.failure),
        None => Asked::nothing(
            "The security key cannot be asked.",
            "the helper names a key that nobody asked for",
        ),
    }
}

/// Why there is no signature of these keys. A PIN is asked for where there is one of them: another key would count it as wrong.
fn failed(keys: &[PluggedKey], failure: Failure) -> Asked {
    let named = named(keys);
    let tries = |tries: Option<u8>| match tries {
        Some(1) => "; 1 try left".to_owned(),
        Some(tries) => format!("; {tries} tries left"),
        None => String::new(),
    };
    let pin = |told: String| match keys {
        [key] => Asked::Pin {
            prompt: format!("{told}PIN of your {named}: "),
            key: key.credential,
        },
        _ => Asked::nothing(
            "The security key cannot be asked.",
            "the helper does not say whose PIN it wants",
        ),
    };
    let (told, why) = match failure {
        Failure::PinNeeded { tries: Some(left) } if left <= 3 => {
            return pin(format!("{left} tries left. "));
        }
        Failure::PinNeeded { .. } => return pin(String::new()),
        Failure::PinWrong { tries: left } => return pin(format!("Wrong PIN{}. ", tries(left))),
        Failure::Absent => (format!("Your {named} is not plugged in."), "absent"),
        Failure::Foreign => (
            format!("The key that is plugged in is not your {named}."),
            "not this person's",
        ),
        Failure::Timeout => (
            format!("Your {named} was not touched in time."),
            "not touched",
        ),
        Failure::Denied => (format!("Your {named} said no."), "denied at the key"),
        Failure::Busy => (
            format!("Your {named} is busy in another program."),
            "busy elsewhere",
        ),
        Failure::PinPaused => (
            "Too many wrong PINs: unplug the key, plug it in again, and try once more.".to_owned(),
            "PIN paused",
        ),
        Failure::PinBlocked => (
            format!(
                "The PIN of your {named} is blocked; the key must be reset and enrolled again."
            ),
            "PIN blocked",
        ),
        Failure::PinExpired => (
            format!("Your {named} wants a new PIN first; set one with fido2-token -C."),
            "PIN expired",
        ),
        Failure::NoVerification => (
            format!(
                "Your {named} has no PIN, which is demanded here; set one with fido2-token -S."
            ),
            "no verification on the key",
        ),
        Failure::NotVerified => (
            format!("Your {named} did not know your finger."),
            "not verified",
        ),
        Failure::Unsupported => (format!("Your {named} cannot do this."), "unsupported"),
        Failure::Enrolled | Failure::Several | Failure::Full | Failure::Broken => (
            format!("Your {named} does not answer as it should."),
            "broken answers",
        ),
        Failure::Refused => (
            "The security key cannot be asked.".to_owned(),
            "the helper refused",
        ),
    };
    Asked::nothing(told, why)
}

/// What is said while it is waited for; nothing of a touch that the prompt has asked for.
pub(super) fn sentence(progress: Progress, told_before: bool) -> Option<&'static str> {
    match progress {
        Progress::Touch if told_before => Some("Now touch it."),
        Progress::Touch => None,
        Progress::Absent => Some("Plug in your security key."),
        Progress::Foreign => Some("The key that is plugged in is none of yours. Plug in your own."),
        Progress::Busy => Some("Your security key is busy in another program. Waiting for it."),
        Progress::Broken => Some("The key that is plugged in does not answer as it should."),
    }
}
