//! What the mock answers an administrator.

use mfad_protocol::{
    AuditQuery, DaemonStatus, DeviceInfo, EnrollmentOffer, EnrollmentOptions, ExplainQuery,
    PolicyExplanation, ReloadReport, UserInfo,
};

use super::{MockError, Shared, State, credential, offer, person};

pub(super) struct MockAdministration(pub(super) Shared);

impl MockAdministration {
    fn called(&self, call: String) -> Result<std::sync::MutexGuard<'_, State>, MockError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(call);
        if state.deny_administration {
            return Err(MockError::Denied("Only root may do this.".into()));
        }
        Ok(state)
    }
}

#[zbus::interface(name = "org.mfad.Mfad1.Administration")]
impl MockAdministration {
    fn status(&self) -> Result<DaemonStatus, MockError> {
        let state = self.called("DaemonStatus".into())?;
        let problems = state.problems.clone();
        Ok(DaemonStatus {
            version: "0-mock".into(),
            protocol: 1,
            started: 1_795_500_000,
            enrolled: Some(2),
            sessions: 0,
            rules: Some(1),
            problems,
            shadow_rules: state.shadow_rules,
            shadow_problems: state.shadow_problems.clone(),
        })
    }

    fn list_users(&self, after: &str, limit: u32) -> Result<Vec<UserInfo>, MockError> {
        let state = self.called(format!("ListUsers {after}"))?;
        let phone = [credential("totp", "phone")];
        let following = state.users.iter().filter(|(name, _)| name.as_str() > after);
        Ok(following
            .take(limit as usize)
            .map(|(name, uid)| person(name, *uid, &phone))
            .collect())
    }

    fn show_user(&self, user: &str) -> Result<UserInfo, MockError> {
        let state = self.called(format!("ShowUser {user}"))?;
        let Some(uid) = state.users.get(user) else {
            return Err(MockError::NotFound(format!("Nobody is called {user}.")));
        };
        let factors = [
            credential("totp", "phone"),
            credential("backup-codes", "paper"),
        ];
        Ok(person(user, *uid, &factors))
    }

    fn enroll_user(
        &self,
        user: &str,
        kind: &str,
        options: EnrollmentOptions,
    ) -> Result<EnrollmentOffer, MockError> {
        drop(self.called(format!("EnrollUser {user} {kind}"))?);
        Ok(offer("credential-1", kind, &options))
    }

    fn list_devices(&self, user: &str) -> Result<Vec<DeviceInfo>, MockError> {
        Ok(self.called(format!("ListDevices {user}"))?.devices.clone())
    }

    fn revoke_devices(&self, user: &str, device: &str) -> Result<u32, MockError> {
        let call = format!("RevokeDevices {user} {device}");
        drop(self.called(call.trim_end().to_owned())?);
        Ok(2)
    }

    fn clear_requirement(&self, user: &str) -> Result<(), MockError> {
        self.called(format!("ClearRequirement {user}")).map(drop)
    }

    fn remove_credential(&self, user: &str, name: &str) -> Result<(), MockError> {
        self.called(format!("RemoveCredential {user} {name}"))
            .map(drop)
    }

    fn unlock_user(&self, user: &str, clock: bool) -> Result<(), MockError> {
        self.called(format!("UnlockUser {user} {clock}")).map(drop)
    }

    fn reset_user(&self, user: &str) -> Result<(), MockError> {
        self.called(format!("ResetUser {user}")).map(drop)
    }

    fn audit(&self, query: AuditQuery) -> Result<Vec<(i64, i64, String)>, MockError> {
        let state = self.called(format!("Audit since {:?}", query.since))?;
        let after = query.after.unwrap_or(0);
        let before = query.before.unwrap_or(i64::MAX);
        let within = |record: &&(i64, i64, String)| record.0 > after && record.0 < before;
        let mut records: Vec<_> = state.records.iter().filter(within).cloned().collect();
        let limit = query.limit.unwrap_or(100) as usize;
        Ok(records.split_off(records.len().saturating_sub(limit)))
    }

    fn explain_policy(&self, query: ExplainQuery) -> Result<PolicyExplanation, MockError> {
        let audit = query.audit;
        self.called("ExplainPolicy".into())?.explained.push(query);
        let text =
            "[[rule]]\nname = \"abroad\"\nwhen = { country = \"NZ\" }\nrequire = { count = 2 }\n";
        let name = "/etc/mfa/policy.toml";
        let vocabulary = policy::Vocabulary::new(&["totp", "backup-codes"]);
        let policy = policy::Policy::parse(&[policy::Source { name, text }], &vocabulary).unwrap();
        let request = policy::Request::new("alice", "sshd", 1_795_500_000);
        let reasons = policy.explain(&request).reasons;
        Ok(PolicyExplanation {
            user: "alice".into(),
            service: "sshd".into(),
            at: 1_795_500_000,
            outcome: "ask".into(),
            detail:
                "asked for 2 different ones of what is enrolled and will do: totp, backup-codes"
                    .into(),
            require: "{ count = 2 }".into(),
            rule: Some("abroad".into()),
            unknown: vec!["country".into()],
            enrolled: vec!["totp".into(), "backup-codes".into()],
            unenrolled: "deny".into(),
            remember: None,
            facts: vec![
                ("user".into(), "alice\u{1b}[2J".into(), "given".into()),
                ("country".into(), "not known".into(), "unknown".into()),
            ],
            reasons: serde_json::to_string(&reasons).unwrap(),
            record: audit.map(|_| "{\"outcome\":\"granted\"}".into()),
            differences: audit.map(|_| vec!["then it demanded \"any\"".into()]),
        })
    }

    fn reload(&self) -> Result<ReloadReport, MockError> {
        let state = self.called("Reload".into())?;
        Ok(ReloadReport {
            applied: !state.broken_configuration,
            errors: if state.broken_configuration {
                vec!["policy.toml:1:1: broken".into()]
            } else {
                Vec::new()
            },
        })
    }
}
