//! Enrolling a security key of this machine: from an offer, over a touch and perhaps a PIN, to a credential. Each call is one
//! turn of it, held back while nothing happens, so that whoever enrolls can show what does.

mod words;

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use mfad_protocol::{
    CredentialInfo, State, Step,
    fido::{Attestation, Bytes, CREDENTIALS, Failure, Make, Outcome, Pin, Progress, Request},
};
use tokio::{sync::mpsc, task::JoinHandle};
use zeroize::Zeroizing;

use self::words::{prompt, refusal, sentence};
use super::{
    Refusal,
    offers::{Offer, Offered},
};
use crate::{
    engine::{Engine, REALM},
    enrollment::Maker,
    factor::{
        fido2::{self, ClientData, Registered, Statement, Wanted},
        otp::identity,
    },
    helper::{Helper, Unreachable, Warm},
    session::{
        Caller,
        waiting::{HELD, MOST_NEWS, ask_for_pin, typed_pin, wait},
        whereabouts::Whereabouts,
    },
    store::{Kind, Person},
};

/// How long a key is waited for.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long one enrollment may take, all its turns together.
const LIFETIME: Duration = Duration::from_mins(2);
/// Most at once. One of each person; there are not many keys at one machine.
const MOST: usize = 16;

/// What an owner asked of their new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// The key must know its owner each time.
    pub verify: bool,
    /// The key shall keep the credential itself.
    pub resident: bool,
    /// A certificate must stand for its model.
    pub attested: bool,
}

/// Enrollments in progress, by the ids of their offers.
#[derive(Default)]
pub struct Makings(Mutex<HashMap<String, Making>>);

/// One of them.
struct Making {
    offer: Offer,
    terms: Terms,
    client_data: ClientData,
    work: Work,
    expires: Instant,
}

enum Work {
    Asking {
        task: Task,
        news: mpsc::Receiver<Progress>,
    },
    /// The owner has yet to type the PIN.
    Pin,
}

/// The question to the helper, which ends with whoever waits for it.
struct Task(JoinHandle<Result<Outcome, Unreachable>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Makings {
    fn take(&self, id: &str, uid: u32) -> Option<Making> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, making| making.expires > Instant::now());
        let owned = open.get(id)?.offer.person.uid == uid;
        if owned { open.remove(id) } else { None }
    }

    /// Another of the same person's gives way.
    fn put(&self, id: &str, making: Making) -> Result<(), Refusal> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, other| other.offer.person.uid != making.offer.person.uid);
        if open.len() >= MOST {
            return Err(Refusal::Full(
                "too many keys are being enrolled; try again".into(),
            ));
        }
        open.insert(id.to_owned(), making);
        Ok(())
    }

    /// Ends one whose owner has gone. Whether there was one.
    pub fn withdraw(&self, id: &str, uid: u32) -> bool {
        self.take(id, uid).is_some()
    }

    /// Whether any goes on; the daemon does not exit under it.
    pub fn is_empty(&self) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, making| making.expires > Instant::now());
        open.is_empty()
    }
}

/// One turn: what to show, and the credential once there is one.
pub type Turn = (Step, Vec<CredentialInfo>);

impl Engine {
    /// The caller's next turn. `process` is a pidfd of theirs, by whose session it is known that they sit here.
    pub async fn confirm_own_security_key(
        &self,
        caller: &Caller,
        id: &str,
        answers: Vec<Vec<u8>>,
        process: Option<OwnedFd>,
    ) -> Result<Turn, Refusal> {
        let answers = Zeroizing::new(answers);
        let making = match self.makings.take(id, caller.uid) {
            None => self.begin_making(caller, id, process).await?,
            Some(making) => making,
        };
        let turn = self.next_turn(caller, id, making, &answers).await;
        if turn.is_err() {
            // What was proven for it is spent.
            let _forgotten = self.offers.close(id);
        }
        turn
    }

    async fn next_turn(
        &self,
        caller: &Caller,
        id: &str,
        mut making: Making,
        answers: &[Vec<u8>],
    ) -> Result<Turn, Refusal> {
        if matches!(making.work, Work::Pin) {
            let pin = typed_pin(answers)
                .ok_or_else(|| Refusal::Denied("no PIN, no key: nothing was stored".into()))?;
            let asked = self.ask_for_making(&making.offer, making.terms, Some(pin));
            (making.work, making.client_data) = asked.await?;
        }
        self.go_on(caller, id, making).await
    }

    async fn begin_making(
        &self,
        caller: &Caller,
        id: &str,
        process: Option<OwnedFd>,
    ) -> Result<Making, Refusal> {
        let now = self.now();
        let offer = self.offers.take(id, caller.uid, now).ok_or_else(|| {
            Refusal::NotFound("that enrollment has expired or is used up; begin again".into())
        })?;
        let Offered::Fido2(terms) = offer.what else {
            self.offers.put_back(id, offer);
            return Err(Refusal::Invalid("that factor is no security key".into()));
        };
        let ready = self.may_ask_for_making(caller, process).await;
        let begun = match ready {
            Ok(()) => self.ask_for_making(&offer, terms, None).await,
            Err(refusal) => Err(refusal),
        };
        match begun {
            Ok((work, client_data)) => Ok(Making {
                offer,
                terms,
                client_data,
                work,
                expires: Instant::now() + LIFETIME,
            }),
            Err(refusal) => {
                self.offers.put_back(id, offer);
                Err(refusal)
            }
        }
    }

    /// Whoever is elsewhere must not make keys blink before somebody who sits here.
    async fn may_ask_for_making(
        &self,
        caller: &Caller,
        process: Option<OwnedFd>,
    ) -> Result<(), Refusal> {
        if !self.helper.is_there() {
            return Err(Refusal::Unavailable(
                "security keys cannot be asked on this machine; an administrator sees why with: mfactl doctor".into(),
            ));
        }
        if caller.is_root() {
            return Ok(());
        }
        let whereabouts = match process {
            Some(process) => self.own_whereabouts(process).await,
            None => Whereabouts::Unknown,
        };
        if whereabouts.is_at_a_seat(caller.uid) {
            return Ok(());
        }
        Err(Refusal::Denied(
            "a security key is enrolled where it is plugged in: at the machine itself. Over ssh, see: mfactl enroll \
             ssh-sk"
                .into(),
        ))
    }

    /// Has the one key that is plugged in make a credential.
    async fn ask_for_making(
        &self,
        offer: &Offer,
        terms: Terms,
        pin: Option<Pin>,
    ) -> Result<(Work, ClientData), Refusal> {
        let rp_id = self.loaded().settings.fido2.rp_id.clone();
        let challenge = fido2::challenge()?;
        let client_data = ClientData::to_create(&rp_id, &challenge)?;
        let person = self.store.find_person(REALM, &offer.person.name).await?;
        let known = person
            .map(|person| self.security_keys_of(&person))
            .unwrap_or_default();
        let exclude = known.into_iter().filter(|key| key.rp_id == rp_id);
        let request = Request::Make(Make {
            client_data: Bytes(client_data.as_bytes().to_vec()),
            // As WebAuthn level 3 §14.6.1 wants it: it says nothing of who it is.
            user_id: Bytes(user_id(&offer.person.name, &rp_id)),
            user_name: offer.person.name.chars().take(16).collect(),
            exclude: exclude.map(|key| Bytes(key.id)).take(CREDENTIALS).collect(),
            resident: terms.resident,
            verify: terms.verify,
            pin,
            timeout_ms: u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX),
            rp_id,
        });
        let (sender, news) = mpsc::channel(MOST_NEWS);
        let task = Task(tokio::spawn(ask(self.helper.clone(), request, sender)));
        Ok((Work::Asking { task, news }, client_data))
    }

    /// Waits for what comes next.
    async fn go_on(&self, caller: &Caller, id: &str, mut making: Making) -> Result<Turn, Refusal> {
        let Work::Asking { task, news } = &mut making.work else {
            return Err(Refusal::Invalid("that enrollment waits for its PIN".into()));
        };
        let outcome = tokio::select! {
            biased;
            outcome = &mut task.0 => outcome,
            Some(progress) = news.recv() => {
                self.makings.put(id, making)?;
                return Ok((wait(Some(sentence(progress))), Vec::new()));
            }
            () = tokio::time::sleep(HELD) => {
                self.makings.put(id, making)?;
                return Ok((wait(None), Vec::new()));
            }
        };
        let outcome = outcome
            .map_err(|error| error.to_string())
            .and_then(|outcome| outcome.map_err(|error| error.to_string()));
        match outcome {
            Ok(Outcome::Made(made)) => self.keep_made(caller, id, making, &made).await,
            Ok(Outcome::Failed(
                failure @ (Failure::PinNeeded { .. } | Failure::PinWrong { .. }),
            )) => {
                making.work = Work::Pin;
                self.makings.put(id, making)?;
                Ok((ask_for_pin(prompt(failure)), Vec::new()))
            }
            Ok(Outcome::Failed(failure)) => Err(refusal(failure)),
            Ok(_) => Err(Refusal::Unavailable(
                "the helper answers another question".into(),
            )),
            Err(error) => Err(Refusal::Unavailable(format!(
                "the security key could not be asked: {error}"
            ))),
        }
    }

    async fn keep_made(
        &self,
        caller: &Caller,
        id: &str,
        making: Making,
        made: &Attestation,
    ) -> Result<Turn, Refusal> {
        let loaded = self.loaded();
        let wanted = Wanted {
            rp_id: &loaded.settings.fido2.rp_id,
            client_data: &making.client_data,
            verify: making.terms.verify,
            resident: making.terms.resident,
        };
        let statement = Statement {
            format: &made.format,
            auth_data: &made.auth_data.0,
            algorithm: made.algorithm.into(),
            signature: &made.signature.0,
            certificate: made.certificates.first().map(|der| der.0.as_slice()),
        };
        let good = fido2::examine(wanted, statement)
            .map_err(|unattested| Refusal::Denied(unattested.to_string()))?;
        let models = &loaded.settings.fido2.aaguids;
        if !models.is_empty() && !models.contains(&good.registered.aaguid) {
            return Err(Refusal::Denied(
                "keys of this model may not be enrolled here ([fido2] aaguids in mfad.toml)".into(),
            ));
        }
        if (making.terms.attested || !models.is_empty()) && !good.certified {
            return Err(Refusal::Denied(
                "no certificate of its maker stands for this key".into(),
            ));
        }
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        let offer = &making.offer;
        let new = maker.security_key(
            &offer.person,
            &good.registered,
            good.counter,
            offer.name.clone(),
        )?;
        let stored = self
            .keep_own(caller, id, making.offer, new, self.now())
            .await?;
        Ok((Step::of(State::Granted), vec![stored]))
    }

    /// The security keys that a person has enrolled.
    pub(super) fn security_keys_of(&self, person: &Person) -> Vec<Registered> {
        let mine = person.credentials.iter();
        let keys = mine.filter(|credential| credential.kind == Kind::Fido2);
        keys.filter_map(|credential| {
            let bound = identity(&person.key, credential.kind, credential.id);
            Registered::open(&self.keyring, &bound, &credential.sealed).ok()
        })
        .collect()
    }
}

async fn ask(
    helper: Helper,
    request: Request,
    news: mpsc::Sender<Progress>,
) -> Result<Outcome, Unreachable> {
    helper
        .ask(&request, &Warm::default(), Instant::now() + PATIENCE, &news)
        .await
}

/// The same for the same person, so that a key that keeps credentials keeps one of theirs, and no name.
fn user_id(name: &str, rp_id: &str) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    Sha256::new()
        .chain_update(rp_id)
        .chain_update([0])
        .chain_update(name)
        .finalize()
        .to_vec()
}
