//! Requests as `mfad` makes them, and its judgement of what comes back.

use std::path::Path;

use fido_shim::{Answer, Asking, Desk};
use mfad::factor::fido2::{
    self, ClientData, Expected, Proven, Refusal, Registered, Statement, Unattested, Wanted,
};
use mfad_protocol::fido::{self, Assert, Bytes, Declined, Failure, Make, Outcome, Pin, Request};
use zeroize::Zeroizing;

pub(crate) const RP_ID: &str = "mfa.example";
/// Longer than any test takes.
pub(crate) const PATIENT: u32 = 20_000;

/// What a test asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) verify: bool,
    pub(crate) resident: bool,
    pub(crate) pin: Option<&'a str>,
    pub(crate) timeout_ms: u32,
}

pub(crate) const PLAIN: Terms<'static> = Terms {
    verify: false,
    resident: false,
    pin: None,
    timeout_ms: PATIENT,
};

pub(crate) fn helper() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fido-shim"))
}

pub(crate) fn ask(desk: &Desk, request: &Request) -> Answer {
    Asking::ask(helper(), desk, request).answer()
}

pub(crate) fn failure(answer: &Answer) -> Option<Failure> {
    match answer.outcome {
        Some(Outcome::Failed(failure) | Outcome::Declined(Declined { failure, .. })) => {
            Some(failure)
        }
        _ => None,
    }
}

fn pin(terms: Terms<'_>) -> Option<Pin> {
    terms
        .pin
        .map(|pin| Pin::new(Zeroizing::new(pin.to_owned())))
}

/// One question for a new credential.
pub(crate) struct Making {
    client_data: ClientData,
    terms: Terms<'static>,
    pub(crate) request: Request,
}

impl Making {
    pub(crate) fn new(terms: Terms<'static>, exclude: &[&Registered]) -> Self {
        let challenge = fido2::challenge().expect("a challenge");
        let client_data = ClientData::to_create(RP_ID, &challenge).expect("client data");
        let request = Request::Make(Make {
            rp_id: RP_ID.into(),
            client_data: Bytes(client_data.as_bytes().to_vec()),
            user_id: Bytes(vec![7; 32]),
            user_name: "alice".into(),
            exclude: exclude.iter().map(|one| Bytes(one.id.clone())).collect(),
            resident: terms.resident,
            verify: terms.verify,
            pin: pin(terms),
            timeout_ms: terms.timeout_ms,
        });
        Self {
            client_data,
            terms,
            request,
        }
    }

    /// What the daemon makes of the answer.
    pub(crate) fn examine(&self, made: &fido::Attestation) -> Result<fido2::Made, Unattested> {
        let wanted = Wanted {
            rp_id: RP_ID,
            client_data: &self.client_data,
            verify: self.terms.verify,
            resident: self.terms.resident,
        };
        let statement = Statement {
            format: &made.format,
            auth_data: &made.auth_data.0,
            algorithm: made.algorithm.into(),
            signature: &made.signature.0,
            certificate: made.certificates.first().map(|der| der.0.as_slice()),
        };
        fido2::examine(wanted, statement)
    }
}

/// Enrolls the one key on the desk.
pub(crate) fn enroll(desk: &Desk, terms: Terms<'static>) -> fido2::Made {
    let making = Making::new(terms, &[]);
    let answer = ask(desk, &making.request);
    let Some(Outcome::Made(made)) = &answer.outcome else {
        panic!("no credential: {answer:?}");
    };
    assert!(answer.status.success());
    making.examine(made).expect("a good credential")
}

/// One question for a signature.
pub(crate) struct Challenge {
    registered: Vec<Registered>,
    client_data: Vec<ClientData>,
    verify: bool,
    pub(crate) request: Request,
}

impl Challenge {
    pub(crate) fn new(registered: &[&Registered], terms: Terms<'_>) -> Self {
        let challenge = fido2::challenge().expect("a challenge");
        let registered: Vec<Registered> = registered.iter().copied().cloned().collect();
        let client_data: Vec<ClientData> = registered
            .iter()
            .map(|one| ClientData::to_get(&one.rp_id, &challenge).expect("client data"))
            .collect();
        let wanted = registered
            .iter()
            .zip(&client_data)
            .map(|(one, data)| fido::Wanted {
                rp_id: one.rp_id.clone(),
                credential: Bytes(one.id.clone()),
                client_data: Bytes(data.as_bytes().to_vec()),
                verify: one.verify,
            })
            .collect();
        let request = Request::Assert(Assert {
            wanted,
            verify: terms.verify,
            pin: pin(terms),
            timeout_ms: terms.timeout_ms,
        });
        Self {
            registered,
            client_data,
            verify: terms.verify,
            request,
        }
    }

    /// What the daemon makes of the answer; which of the credentials it was.
    pub(crate) fn judge(&self, answer: &Answer) -> Option<(usize, Result<Proven, Refusal>)> {
        let Some(Outcome::Asserted(assertion)) = &answer.outcome else {
            return None;
        };
        let place = usize::try_from(assertion.wanted).expect("a place");
        let expected = Expected {
            registered: self.registered.get(place)?,
            client_data: &self.client_data[place],
            verify: self.verify,
        };
        let judged = fido2::verify(expected, &assertion.auth_data.0, &assertion.signature.0);
        Some((place, judged))
    }
}

/// Asks for a signature, which must be good, and returns which credential has signed and what that proves.
pub(crate) fn sign(desk: &Desk, registered: &[&Registered], terms: Terms<'_>) -> (usize, Proven) {
    let challenge = Challenge::new(registered, terms);
    let answer = ask(desk, &challenge.request);
    let Some((place, Ok(proven))) = challenge.judge(&answer) else {
        panic!("no good signature: {answer:?}");
    };
    assert!(
        answer.status.success() && answer.printed.is_empty(),
        "{answer:?}"
    );
    (place, proven)
}

/// Asks for a signature, which must not come, and returns why.
pub(crate) fn refused(desk: &Desk, registered: &[&Registered], terms: Terms<'_>) -> Failure {
    let answer = ask(desk, &Challenge::new(registered, terms).request);
    failure(&answer).unwrap_or_else(|| panic!("it did not fail: {answer:?}"))
}
