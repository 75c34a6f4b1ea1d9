//! What people are shown of what the store knows. No secret passes here.

use mfad_protocol::{BudgetInfo, CredentialInfo, UserInfo};

use super::hex_id;
use crate::{
    engine::Engine,
    factor::{
        fido2::Registered,
        otp::{Generator, identity},
        ssh_key,
    },
    people::Account,
    store::{Budget, Credential, Kind, Person, Standing, StoreError},
};

impl Engine {
    /// A person, for themselves or an administrator.
    pub(super) async fn show(&self, person: &Person) -> Result<UserInfo, StoreError> {
        let budgets = self.store.budgets(person.id, self.now()).await?;
        let limit = self.loaded().settings.throttle.limit;
        Ok(UserInfo {
            user: person.key.name.clone(),
            uid: person.key.uid,
            enrolled: person
                .credentials
                .iter()
                .any(|credential| credential.standing == Standing::Active),
            credentials: self.show_credentials(person),
            budgets: budgets
                .into_iter()
                .map(|budget| show_budget(budget, limit))
                .collect(),
            last_login: person.last_login,
            preferred: person.preferred.clone(),
            requirement: person.requirement.clone(),
        })
    }

    pub(super) fn show_credentials(&self, person: &Person) -> Vec<CredentialInfo> {
        let active = person
            .credentials
            .iter()
            .filter(|credential| credential.standing == Standing::Active);
        active
            .map(|credential| self.show_credential(person, credential))
            .collect()
    }

    pub(super) fn show_credential(
        &self,
        person: &Person,
        credential: &Credential,
    ) -> CredentialInfo {
        let detail = match credential.kind {
            Kind::Totp | Kind::Hotp => {
                let bound = identity(&person.key, credential.kind, credential.id);
                match Generator::open(&self.keyring, &bound, &credential.sealed) {
                    Ok(generator) => Some(generator.describe()),
                    Err(error) => Some(format!("unusable: {error}")),
                }
            }
            Kind::SshSk | Kind::SshAgent => {
                let bound = identity(&person.key, credential.kind, credential.id);
                Some(
                    match ssh_key::open(&self.keyring, &bound, &credential.sealed) {
                        Ok(key) => format!("{} {}", key.word(), key.fingerprint()),
                        Err(error) => format!("unusable: {error}"),
                    },
                )
            }
            Kind::Fido2 => {
                let bound = identity(&person.key, credential.kind, credential.id);
                Some(
                    match Registered::open(&self.keyring, &bound, &credential.sealed) {
                        Ok(registered) => registered.describe(),
                        Err(error) => format!("unusable: {error}"),
                    },
                )
            }
            Kind::BackupCodes => None,
        };
        CredentialInfo {
            id: hex_id(credential.id),
            kind: credential.kind.word().to_owned(),
            name: credential.name.clone(),
            created: credential.created,
            last_used: credential.last_used,
            detail,
            left: (credential.kind == Kind::BackupCodes)
                .then(|| u32::try_from(credential.codes.len()).unwrap_or(u32::MAX)),
        }
    }
}

/// Somebody of whom the store knows nothing.
pub(super) fn nobody(account: &Account) -> UserInfo {
    UserInfo {
        user: account.name.clone(),
        uid: account.uid,
        enrolled: false,
        credentials: Vec::new(),
        budgets: Vec::new(),
        last_login: None,
        preferred: None,
        requirement: None,
    }
}

fn show_budget(budget: Budget, limit: u32) -> BudgetInfo {
    BudgetInfo {
        class: budget.class.word().to_owned(),
        failures: budget.spent,
        limit,
        delayed_until: budget.delays.iter().map(|(_, until)| *until).max(),
        disabled: budget.disabled,
    }
}
