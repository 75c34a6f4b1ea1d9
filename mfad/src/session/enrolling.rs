//! Enrollment in the login itself: a QR code that any terminal can show, and the first code to prove it was read.
//!
//! The credential stays pending until the account phase of the whole login. A secret is shown once: whoever sees one may
//! have no right password, which shows only later. Who hangs up to fetch the phone is shown another one, and may type a
//! code of the one that was shown at the same place before, for 15 minutes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use mfad_protocol::{EnrollmentOptions, Message, State, Step, Style};

use super::{
    Caller,
    answering::ask,
    facts::Facts,
    grant::{Earned, Proof},
    keys::Keys,
    logins::{Begun, visible},
    running::{Running, Stage},
    verdict::Subject,
    weighing::Weighed,
};
use crate::{
    audit::Event,
    clock::Now,
    config::Loaded,
    engine::Engine,
    enrollment::{self, Maker},
    factor::{
        FactorError,
        answer::Answer,
        otp::{Generator, identity},
    },
    people::Account,
    qr,
    store::{CredentialId, Kind, Person, PersonId, PersonKey, Standing, StoreError},
    throttle::Place,
};

/// Most pending credentials whose place is remembered.
const MOST_SHOWN: usize = 1024;
/// How long a pending enrollment may be completed, in seconds.
const PENDING: i64 = 15 * 60;
/// Wrong codes forgiven while enrolling: the secret is on the screen, so there is nothing to guess.
const TRIES: u8 = 3;

const NONE_YET: &str = "This login needs a second factor, and you have none yet.";
const THEN: &str = "Then type the code it shows.";

/// An enrollment in a login, waiting for its first code.
pub(super) struct Enrolling {
    offered: Offered,
    /// What was shown at this place before.
    before: Vec<Offered>,
    tries_left: u8,
}

struct Offered {
    generator: Generator,
    credential: CredentialId,
}

impl std::fmt::Debug for Enrolling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolling")
            .field("credential", &self.offered.credential)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) async fn begin_enrollment(
        &self,
        caller: &Caller,
        facts: Facts,
        weighed: Weighed,
        now: Now,
    ) -> Begun {
        let loaded = weighed.loaded;
        let Subject::NotEnrolled(account, _) = weighed.subject else {
            return (String::new(), Step::of(State::Denied));
        };
        let offered = self.offer(&account, &loaded, &facts, now).await;
        let shown = offered.and_then(|(person, enrolling)| {
            let messages = if facts.silent {
                vec![alone(&enrolling.offered.generator, &loaded)?]
            } else {
                screen(&enrolling, &loaded, &account.name)?
            };
            Ok((person, enrolling, messages))
        });
        let (person, enrolling, messages) = match shown {
            Ok(shown) => shown,
            Err(error) => return (String::new(), self.cannot_enroll(&facts, &error, now)),
        };
        let running = Running {
            facts,
            person: Some(person),
            failures_before: 0,
            scene: weighed.scene,
            offer: None,
            keys: Keys::default(),
            asks_left: 0,
            until: Instant::now() + loaded.settings.session.dialogue,
            stage: Stage::Enroll(enrolling),
            loaded,
            rule: weighed.decision.rule,
        };
        self.open(caller, running, messages)
    }

    fn cannot_enroll(&self, facts: &Facts, error: &OfferError, now: Now) -> Step {
        let (state, outcome) = if error.may_be_brought_about() {
            (State::Denied, "denied")
        } else {
            (State::Unavailable, "unavailable")
        };
        let mut record = facts.record(now.wall, Event::Alarm, outcome);
        record.detail = Some(format!("no enrollment in this login: {error}"));
        self.note(record);
        Step::of(state)
    }

    /// A new generator, kept before it is shown, and those that were shown to this person at this place before.
    ///
    /// What was shown elsewhere does not count: whoever saw it there could have its code typed here.
    async fn offer(
        &self,
        account: &Account,
        loaded: &Loaded,
        facts: &Facts,
        now: Now,
    ) -> Result<((PersonId, PersonKey), Enrolling), OfferError> {
        let key = enrollment::person_key(account);
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        let generator = maker.generator(Kind::Totp, &EnrollmentOptions::default())?;
        let standing = Standing::PendingUntil(now.wall.saturating_add(PENDING));
        let new = maker.otp(&key, Kind::Totp, &generator, None, standing, -1)?;
        let credential = new.id;
        let record = facts.record(now.wall, Event::Enrollment, "offered");
        let person = self
            .recorded(record, |record| {
                self.store.add_credential(key, new, now, record)
            })
            .await?;
        let before = self.shown_here(&person, facts, now);
        self.shown.note(credential, facts.place, now);
        let enrolling = Enrolling {
            offered: Offered {
                generator,
                credential,
            },
            before,
            tries_left: TRIES,
        };
        Ok(((person.id, person.key), enrolling))
    }

    /// What was shown to this person at this place and waits still.
    fn shown_here(&self, person: &Person, facts: &Facts, now: Now) -> Vec<Offered> {
        let waiting = person.credentials.iter().filter(|credential| {
            let waits =
                matches!(credential.standing, Standing::PendingUntil(until) if until > now.wall);
            credential.kind == Kind::Totp && waits && self.shown.was(credential.id, facts.place)
        });
        let open = waiting.filter_map(|credential| {
            let bound = identity(&person.key, credential.kind, credential.id);
            let generator = Generator::open(&self.keyring, &bound, &credential.sealed).ok()?;
            Some(Offered {
                generator,
                credential: credential.id,
            })
        });
        open.collect()
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
        let mut offered = std::iter::once(&enrolling.offered).chain(&enrolling.before);
        let matched = offered.find_map(|offered| {
            let step = offered.generator.matches(answer, -1, now, windows)?;
            Some((offered.credential, step))
        });
        let Some(enrollment) = matched else {
            enrolling.tries_left = enrolling.tries_left.saturating_sub(1);
            let over = enrolling.tries_left == 0;
            self.note_unasked(running, "wrong", "the first code of a new factor", now);
            Self::pad(heard_at).await;
            if over {
                return Step::of(State::Denied);
            }
            return ask(format!(
                "That code does not match; check that the phone's clock is right. {prompt}"
            ));
        };
        let Some(proof) = running.proof(vec![Kind::Totp.into()], now) else {
            return Self::refuse(heard_at).await;
        };
        let earned = Earned::Proven(Box::new(Proof {
            enrollment: Some(enrollment),
            ..proof
        }));
        let Some(grant) = self.grant(caller, &running.facts, earned, now) else {
            return Step::of(State::Unavailable);
        };
        self.note_unasked(running, "granted", "by the factor enrolled in it", now);
        Step {
            grant: Some(grant),
            ..Step::of(State::Granted)
        }
    }
}

/// Why nothing can be enrolled in a login.
#[derive(Debug)]
enum OfferError {
    Store(StoreError),
    Factor(FactorError),
}

impl OfferError {
    /// Whether somebody could bring it about on purpose; then it is no excuse to let a login through.
    const fn may_be_brought_about(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Full | StoreError::Busy | StoreError::NotFirst)
        )
    }
}

impl std::fmt::Display for OfferError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Factor(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for OfferError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FactorError> for OfferError {
    fn from(error: FactorError) -> Self {
        Self::Factor(error)
    }
}

/// Where each pending credential was shown. In memory: after a restart, everybody is shown a new one.
#[derive(Debug, Default)]
pub struct Shown(Mutex<HashMap<CredentialId, (Place, i64)>>);

impl Shown {
    fn note(&self, credential: CredentialId, place: Place, now: Now) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|_, (_, until)| *until > now.steady);
        if shown.len() < MOST_SHOWN {
            shown.insert(credential, (place, now.steady + PENDING));
        }
    }

    /// Whether it was shown at that place. A place whose address is unknown is never the same as another.
    fn was(&self, credential: CredentialId, place: Place) -> bool {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place != Place::Remote(None)
            && shown
                .get(&credential)
                .is_some_and(|(there, _)| *there == place)
    }
}

/// What is shown: plain ASCII, a line a message, the prompt last.
fn screen(
    enrolling: &Enrolling,
    loaded: &Loaded,
    account: &str,
) -> Result<Vec<Message>, FactorError> {
    let generator = &enrolling.offered.generator;
    let issuer = loaded.settings.otp.issuer.as_str();
    let uri = generator.uri(issuer, account)?;
    let info = |text: String| Message {
        style: Style::Info,
        text,
    };
    let mut messages = vec![info(NONE_YET.to_owned())];
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
    if !enrolling.before.is_empty() {
        let text = "If you have just scanned another one here, a code of that one will do as well.";
        messages.push(info(text.to_owned()));
    }
    messages.push(visible(format!("{THEN} {}", loaded.settings.prompt.text)));
    Ok(messages)
}

/// The same for a host that shows prompts and nothing besides: all of it is in the prompt, but for the QR code, which no prompt
/// has room for (PAM's own limit is 512 bytes, `PAM_MAX_MSG_SIZE`).
fn alone(generator: &Generator, loaded: &Loaded) -> Result<Message, FactorError> {
    Ok(visible(format!(
        "{NONE_YET}\nOpen an authenticator app on your phone, and type this secret into it: {}\n({})\n{THEN} {}",
        enrollment::grouped(&generator.base32()?).as_str(),
        generator.describe(),
        loaded.settings.prompt.text
    )))
}
