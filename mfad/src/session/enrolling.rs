//! Enrollment in the login itself: a QR code that any terminal can show, and the first code to prove it was read.
//!
//! The credential stays pending until the account phase of the whole login, and for 15 minutes across reconnections.

use std::{sync::Arc, time::Instant};

use mfad_protocol::{Message, State, Step, Style};

use super::{
    Caller,
    answering::ask,
    facts::Facts,
    grant::Earned,
    logins::{Begun, Running, Stage, visible},
    verdict::Subject,
};
use crate::{
    audit::Event,
    clock::Now,
    config::Loaded,
    engine::{Engine, REALM},
    enrollment::{self, Maker},
    factor::{
        FactorError,
        answer::Answer,
        otp::{Generator, identity},
    },
    people::Account,
    qr,
    store::{CredentialId, Kind, PersonKey, Standing},
};

/// How long a pending enrollment survives reconnecting, in seconds.
const PENDING: i64 = 15 * 60;
/// Wrong codes forgiven while enrolling: the secret is on the screen, so there is nothing to guess.
const TRIES: u8 = 3;

/// An enrollment in a login, waiting for its first code.
pub(super) struct Enrolling {
    generator: Generator,
    credential: CredentialId,
    tries_left: u8,
}

impl std::fmt::Debug for Enrolling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolling")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) async fn begin_enrollment(
        &self,
        caller: &Caller,
        facts: Facts,
        subject: Subject,
        loaded: Arc<Loaded>,
        rule: Option<String>,
        now: Now,
    ) -> Begun {
        let Subject::NotEnrolled(account) = subject else {
            return (String::new(), Step::of(State::Denied));
        };
        let offered = self.offer(&account, &loaded, &facts, now).await;
        let Ok((key, person, enrolling)) = offered else {
            let mut record = facts.record(now.wall, Event::Alarm, "unavailable");
            record.detail = offered.err();
            self.trail.send(&record);
            return (String::new(), Step::of(State::Unavailable));
        };
        let Ok(messages) = screen(&enrolling.generator, &loaded, &account.name) else {
            return (String::new(), Step::of(State::Unavailable));
        };
        let running = Running {
            facts,
            person: Some((person, key)),
            failures_before: 0,
            stage: Stage::Enroll(enrolling),
            loaded,
            rule,
        };
        self.open(caller, running, messages)
    }

    /// The person's pending generator, or a new one, kept before it is shown.
    async fn offer(
        &self,
        account: &Account,
        loaded: &Loaded,
        facts: &Facts,
        now: Now,
    ) -> Result<(PersonKey, crate::store::PersonId, Enrolling), String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let known = self
            .store
            .find_person(REALM, &account.name)
            .await
            .map_err(|error| text(&error))?;
        let pending = known.as_ref().and_then(|person| {
            let credential = person.credentials.iter().find(|credential| {
                credential.kind == Kind::Totp
                    && matches!(credential.standing, Standing::PendingUntil(until) if until > now.wall)
            })?;
            let bound = identity(&person.key, credential.kind, credential.id);
            let generator = Generator::open(&self.keyring, &bound, &credential.sealed).ok()?;
            Some((person.key.clone(), person.id, Enrolling { generator, credential: credential.id, tries_left: TRIES }))
        });
        if let Some(pending) = pending {
            return Ok(pending);
        }
        let key = enrollment::person_key(account);
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        let generator = maker
            .generator(Kind::Totp, &mfad_protocol::EnrollmentOptions::default())
            .map_err(|e| text(&e))?;
        let standing = Standing::PendingUntil(now.wall.saturating_add(PENDING));
        let new = maker
            .otp(&key, Kind::Totp, &generator, None, standing, -1)
            .map_err(|e| text(&e))?;
        let credential = new.id;
        let record = facts.record(now.wall, Event::Enrollment, "offered");
        let person = self
            .store
            .add_credential(key.clone(), new, now, record)
            .await
            .map_err(|error| text(&error))?;
        Ok((
            key,
            person.id,
            Enrolling {
                generator,
                credential,
                tries_left: TRIES,
            },
        ))
    }

    pub(super) async fn answer_enrollment(
        &self,
        caller: &Caller,
        running: &mut Running,
        answer: &Answer,
        heard_at: Instant,
    ) -> Step {
        let now = self.now();
        let windows = Self::windows(&running.loaded);
        let prompt = running.loaded.settings.prompt.text.clone();
        let Stage::Enroll(enrolling) = &mut running.stage else {
            return Self::refuse(heard_at).await;
        };
        let Some(step) = enrolling.generator.matches(answer, -1, now, windows) else {
            enrolling.tries_left = enrolling.tries_left.saturating_sub(1);
            if enrolling.tries_left == 0 {
                return Self::refuse(heard_at).await;
            }
            Self::pad(heard_at).await;
            return ask(format!(
                "That code does not match; check that the phone's clock is right. {prompt}"
            ));
        };
        let enrollment = Some((enrolling.credential, step));
        let Some((person, _)) = &running.person else {
            return Self::refuse(heard_at).await;
        };
        let earned = Earned::Proven {
            person: *person,
            place: running.facts.place,
            failures: running.failures_before,
            enrollment,
        };
        match self.grant(caller, &running.facts, earned, now) {
            Some(grant) => Step {
                grant: Some(grant),
                ..Step::of(State::Granted)
            },
            None => Step::of(State::Unavailable),
        }
    }
}

/// What is shown: plain ASCII, a line a message, the prompt last.
fn screen(
    generator: &Generator,
    loaded: &Loaded,
    account: &str,
) -> Result<Vec<Message>, FactorError> {
    let issuer = loaded.settings.otp.issuer.as_str();
    let uri = generator.uri(issuer, account)?;
    let info = |text: String| Message {
        style: Style::Info,
        text,
    };
    let mut messages = vec![info(
        "This login needs a second factor, and you have none yet.".to_owned(),
    )];
    messages.push(info(
        "Scan this with an authenticator app on your phone:".to_owned(),
    ));
    messages.extend(qr::ascii(&uri).into_iter().map(info));
    let secret = enrollment::grouped(&generator.base32()?);
    messages.push(info(format!(
        "Or type this secret into it: {}",
        secret.as_str()
    )));
    messages.push(info(format!("({})", generator.describe())));
    messages.push(visible(format!(
        "Then type the code it shows. {}",
        loaded.settings.prompt.text
    )));
    Ok(messages)
}
