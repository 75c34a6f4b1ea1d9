//! Makes credentials: what `mfactl`, an administrator and a login itself enroll is made here, in one way.

use mfad_protocol::{EnrollmentOffer, EnrollmentOptions};
use zeroize::Zeroizing;

use crate::{
    config::Settings,
    engine::REALM,
    factor::{
        FactorError,
        backup::{Set, grouped as grouped_code},
        fido2::Registered,
        otp::{Generator, Hash, identity},
        ssh_key,
    },
    people::Account,
    ssh::key::PublicKey,
    store::{
        CredentialId, Kind, NewCredential, PersonKey, Standing,
        seal::{Identity, Keyring},
    },
};

/// Makes credentials with the configured defaults.
pub struct Maker<'a> {
    /// Seals them.
    pub keyring: &'a Keyring,
    /// Defaults.
    pub settings: &'a Settings,
}

impl Maker<'_> {
    /// A new generator of codes.
    pub fn generator(
        &self,
        kind: Kind,
        options: &EnrollmentOptions,
    ) -> Result<Generator, FactorError> {
        let otp = &self.settings.otp;
        let algorithm = match &options.algorithm {
            None => otp.algorithm,
            Some(word) => Hash::from_word(word).ok_or_else(|| {
                FactorError::Parameter("the algorithm must be SHA1, SHA256 or SHA512".into())
            })?,
        };
        let digits = options.digits.unwrap_or(u32::from(otp.digits));
        let period = options.period.unwrap_or(u32::from(otp.period));
        Generator::generate(kind, algorithm, digits, period)
    }

    /// A credential of a generator, with its moving factor at `moving`.
    pub fn otp(
        &self,
        person: &PersonKey,
        kind: Kind,
        generator: &Generator,
        name: Option<String>,
        standing: Standing,
        moving: i64,
    ) -> Result<NewCredential, FactorError> {
        let credential = Self::sealed(person, kind, name, |bound| {
            generator.seal(self.keyring, bound)
        })?;
        Ok(NewCredential {
            standing,
            moving,
            ..credential
        })
    }

    /// A credential of a set of backup codes.
    pub fn backup(
        &self,
        person: &PersonKey,
        set: &Set,
        digests: Vec<[u8; 32]>,
        name: Option<String>,
    ) -> Result<NewCredential, FactorError> {
        let credential = Self::sealed(person, Kind::BackupCodes, name, |bound| {
            set.seal(self.keyring, bound)
        })?;
        Ok(NewCredential {
            codes: digests,
            ..credential
        })
    }

    /// A credential of an SSH key, with its signature counter at `counter`.
    pub fn ssh_key(
        &self,
        person: &PersonKey,
        key: &PublicKey,
        counter: u32,
        name: Option<String>,
    ) -> Result<NewCredential, FactorError> {
        let credential = Self::sealed(person, key.kind(), name, |bound| {
            ssh_key::seal(key, self.keyring, bound)
        })?;
        Ok(NewCredential {
            moving: counter.into(),
            ..credential
        })
    }

    /// A credential of a security key, with its signature counter at `counter`.
    pub fn security_key(
        &self,
        person: &PersonKey,
        registered: &Registered,
        counter: u32,
        name: Option<String>,
    ) -> Result<NewCredential, FactorError> {
        let credential = Self::sealed(person, Kind::Fido2, name, |bound| {
            registered.seal(self.keyring, bound)
        })?;
        Ok(NewCredential {
            moving: counter.into(),
            ..credential
        })
    }

    /// A credential in use whose moving factor has not moved, with a random id that `seal` binds.
    fn sealed(
        person: &PersonKey,
        kind: Kind,
        name: Option<String>,
        seal: impl FnOnce(&Identity) -> Result<Vec<u8>, FactorError>,
    ) -> Result<NewCredential, FactorError> {
        let id = random_credential_id()?;
        Ok(NewCredential {
            id,
            kind,
            name,
            standing: Standing::Active,
            only_first: false,
            sealed: seal(&identity(person, kind, id))?,
            moving: 0,
            codes: Vec::new(),
        })
    }

    /// What a generator's owner is shown once.
    pub fn offer_otp(
        &self,
        id: String,
        kind: Kind,
        name: &str,
        generator: &Generator,
        user: &str,
    ) -> Result<EnrollmentOffer, FactorError> {
        Ok(EnrollmentOffer {
            id,
            kind: kind.word().to_owned(),
            name: name.to_owned(),
            uri: Some(generator.uri(&self.settings.otp.issuer, user)?.to_string()),
            secret: Some(generator.base32()?.to_string()),
            codes: None,
        })
    }
}

/// What a set's owner is shown once.
pub fn offer_codes(id: String, name: &str, codes: &[String]) -> EnrollmentOffer {
    EnrollmentOffer {
        id,
        kind: Kind::BackupCodes.word().to_owned(),
        name: name.to_owned(),
        codes: Some(codes.iter().map(|code| grouped_code(code)).collect()),
        ..EnrollmentOffer::default()
    }
}

/// What names the enrollment of a key, which is nothing to be shown.
pub fn offer_key(id: String, kind: Kind, name: &str) -> EnrollmentOffer {
    EnrollmentOffer {
        id,
        kind: kind.word().to_owned(),
        name: name.to_owned(),
        ..EnrollmentOffer::default()
    }
}

/// The store's key of an account.
pub fn person_key(account: &Account) -> PersonKey {
    PersonKey {
        realm: REALM.to_owned(),
        name: account.name.clone(),
        uid: account.uid,
    }
}

/// A secret in groups of four, for reading aloud and typing.
pub fn grouped(secret: &str) -> Zeroizing<String> {
    let groups: Vec<&str> = (0..secret.len())
        .step_by(4)
        .map(|at| &secret[at..secret.len().min(at + 4)])
        .collect();
    Zeroizing::new(groups.join(" "))
}

fn random_credential_id() -> Result<CredentialId, FactorError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| FactorError::Randomness)?;
    Ok(CredentialId(id))
}
