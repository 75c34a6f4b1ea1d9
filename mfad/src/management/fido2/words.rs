//! What is said while a security key is enrolled, and why it was not.

use mfad_protocol::fido::{Failure, Progress};

use super::Refusal;

pub(super) fn prompt(failure: Failure) -> String {
    match failure {
        Failure::PinWrong { tries: Some(1) } => {
            "Wrong PIN; 1 try left. PIN of the key: ".to_owned()
        }
        Failure::PinWrong { tries: Some(tries) } => {
            format!("Wrong PIN; {tries} tries left. PIN of the key: ")
        }
        Failure::PinWrong { tries: None } => "Wrong PIN. PIN of the key: ".to_owned(),
        _ => "PIN of the key: ".to_owned(),
    }
}

pub(super) const fn sentence(progress: Progress) -> &'static str {
    match progress {
        Progress::Touch => "Touch the key now.",
        Progress::Absent => "Plug in the key.",
        Progress::Busy => "The key is busy in another program. Waiting for it.",
        Progress::Foreign | Progress::Broken => "The key does not answer as it should.",
    }
}

pub(super) fn refusal(failure: Failure) -> Refusal {
    let text = match failure {
        Failure::Absent => "no key was plugged in",
        Failure::Timeout => "the key was not touched in time",
        Failure::Denied => "the key said no",
        Failure::Busy => "the key is busy in another program",
        Failure::PinPaused => {
            "too many wrong PINs: unplug the key, plug it in again, and begin again"
        }
        Failure::PinBlocked => "the key's PIN is blocked; it must be reset",
        Failure::PinExpired => "the key wants a new PIN first; set one with fido2-token -C",
        Failure::NoVerification => "the key has no PIN yet; set one with fido2-token -S",
        Failure::NotVerified => "the key did not know your finger",
        Failure::Enrolled => return Refusal::Exists("that key is enrolled already".into()),
        Failure::Several => "several keys are plugged in; leave only the one to be enrolled",
        Failure::Full => "the key has no room for another credential that it keeps",
        Failure::Unsupported => "the key cannot do this (a U2F key without FIDO2, perhaps)",
        Failure::Foreign
        | Failure::Broken
        | Failure::Refused
        | Failure::PinNeeded { .. }
        | Failure::PinWrong { .. } => "the key does not answer as it should",
    };
    Refusal::Denied(text.to_owned())
}
