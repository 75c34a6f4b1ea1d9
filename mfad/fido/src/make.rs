//! Makes a credential on the one key that is plugged in.

use std::{thread, time::Duration};

use ctap_hid_fido2::{
    fidokey::{
        CredentialExtension, CredentialSupportedKeyType, MakeCredentialArgsBuilder,
        credential_management::credential_management_params::CredentialProtectionPolicy,
    },
    public_key_credential_user_entity::PublicKeyCredentialUserEntity,
};
use mfad_protocol::fido::{
    Attestation, Bytes, CLIENT_DATA, CREDENTIAL_ID, CREDENTIALS, Failure, Make, Outcome, Progress,
    RP_ID,
};

use crate::{
    failure::{Trouble, trouble},
    key::{self, Key, Plugged},
    verification::Verification,
    watch::Watch,
};

/// How often it is looked whether a key has come.
const GLANCE: Duration = Duration::from_millis(200);
/// Longest user id (WebAuthn level 3 §5.4.3).
const USER_ID: usize = 64;
/// Most certificates of a statement that are passed on.
const CERTIFICATES: usize = 4;

/// Waits for a key, and for a touch on it.
pub(crate) fn make(watch: &Watch, request: &Make) -> Outcome {
    if !sensible(request) {
        return Outcome::Failed(Failure::Refused);
    }
    while !watch.left().is_zero() {
        let plugged = key::plugged();
        let trouble = match plugged.as_slice() {
            [] => {
                watch.obstacle(Progress::Absent);
                None
            }
            [one] => match create(watch, one, request) {
                Ok(attestation) => return Outcome::Made(attestation),
                Err(trouble) => Some(trouble),
            },
            _ => return Outcome::Failed(Failure::Several),
        };
        match trouble {
            Some(Trouble::Failed(Failure::Busy)) => watch.obstacle(Progress::Busy),
            Some(Trouble::Failed(failure)) => return Outcome::Failed(failure),
            None | Some(Trouble::Gone) => {}
        }
        thread::sleep(GLANCE);
    }
    Outcome::Failed(watch.verdict())
}

fn sensible(request: &Make) -> bool {
    (1..=RP_ID).contains(&request.rp_id.len())
        && request.client_data.0.len() <= CLIENT_DATA
        && (1..=USER_ID).contains(&request.user_id.0.len())
        && request.user_name.len() <= USER_ID
        && request.exclude.len() <= CREDENTIALS
        && request
            .exclude
            .iter()
            .all(|id| (1..=CREDENTIAL_ID).contains(&id.0.len()))
}

fn create(watch: &Watch, plugged: &Plugged, request: &Make) -> Result<Attestation, Trouble> {
    let key = Key::open(plugged)?;
    let plan = Verification::plan(&key, request.verify, request.pin.as_ref());
    let mut builder = MakeCredentialArgsBuilder::new(&request.rp_id, &request.client_data.0)
        .key_type(CredentialSupportedKeyType::Ecdsa256)
        .key_type(CredentialSupportedKeyType::Ed25519)
        .user_entity(&PublicKeyCredentialUserEntity::new(
            Some(&request.user_id.0),
            Some(&request.user_name),
            Some(&request.user_name),
        ));
    for id in &request.exclude {
        builder = builder.exclude_authenticator(&id.0);
    }
    if request.resident {
        builder = builder.resident_key();
    }
    if key.abilities.protects {
        // Whoever finds the key does not learn from it whose it is; whoever knows the credential's id can still ask.
        builder = builder.extensions(&[CredentialExtension::CredProtect(Some(
            CredentialProtectionPolicy::UserVerificationOptionalWithCredentialIdList,
        ))]);
    }
    let plan = plan.map_err(Trouble::Failed)?;
    let arguments = match plan {
        Verification::None => builder.without_pin_and_uv(),
        Verification::BuiltIn => builder,
        Verification::Pin(pin) => builder.pin(pin),
    }
    .build();
    watch.waits(key.waiting());
    let made = key.fido.make_credential_with_args(&arguments);
    watch.waits(None);
    let made =
        made.map_err(|error| trouble(&error.to_string()))
            .map_err(|trouble| match trouble {
                Trouble::Failed(failure) => Trouble::Failed(key.explain(failure)),
                Trouble::Gone => Trouble::Gone,
            })?;
    Ok(Attestation {
        format: made.fmt,
        auth_data: Bytes(made.auth_data),
        algorithm: made.attstmt_alg,
        signature: Bytes(made.attstmt_sig),
        certificates: made
            .attstmt_x5c
            .into_iter()
            .take(CERTIFICATES)
            .map(Bytes)
            .collect(),
    })
}
