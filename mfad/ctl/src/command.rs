//! Sends a parsed command to the file that carries it out, with what all of them share. It does nothing itself.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::unistd::geteuid;
use serde_json::Value;

use crate::agent::Agent;
use crate::cli::{Cli, Command, EnrollArgs, ImportCommand, PolicyCommand};
use crate::client::{AdministrationProxy, Client};
use crate::failure::Failure;
use crate::terminal::Terminal;
use crate::{
    administration, audit, demand, dialogue, doctor, enroll, expectations, explain, own, pam,
    rules, security_key, shadow, trust,
};

/// What a command works with.
pub struct Console<'a> {
    /// The daemon.
    pub client: &'a Client,
    /// Asks for an administrator on this terminal, once [`Console::administration`] was called.
    pub agent: Option<Agent>,
    /// The person or script.
    pub terminal: &'a mut Terminal,
    /// For showing times.
    pub zone: TimeZone,
    /// When the command was given.
    pub now: Timestamp,
    /// Output for scripts.
    pub json: bool,
    /// Everything is confirmed.
    pub yes: bool,
    /// Where `/etc`, `/usr` and `/run` are.
    pub root: PathBuf,
    /// The arguments, quoted for a shell, to be suggested with `sudo`.
    pub arguments: String,
}

impl<'a> Console<'a> {
    /// Carries out `cli`.
    pub async fn run(&mut self, cli: Cli) -> Result<(), Failure> {
        match cli.command {
            Command::Status => own::status(self).await,
            Command::Enroll(what) => enroll::own(self, &what).await,
            Command::Codes => enroll::own(self, &EnrollArgs::backup_codes()).await,
            Command::Remove { factor } => own::remove(self, &factor).await,
            Command::Rename { factor, name } => own::rename(self, &factor, &name).await,
            Command::Test { service } => {
                dialogue::test(self.client, self.terminal, &service, self.json).await
            }
            Command::Trust(command) => trust::own(self, command).await,
            Command::Require(what) => demand::require(self, &what).await,
            Command::Prefer { kind } => demand::prefer(self, kind).await,
            Command::Import(ImportCommand::PamU2f { file, origin }) => {
                security_key::import(self, &file, origin.as_deref()).await
            }
            Command::User(command) => administration::run(self, command).await,
            Command::Policy(PolicyCommand::Check(what)) => rules::check(self, &what).await,
            Command::Policy(PolicyCommand::Explain(what)) => explain::run(self, *what).await,
            Command::Policy(PolicyCommand::Test(what)) => expectations::run(self, &what),
            Command::Policy(PolicyCommand::Shadow { command }) => {
                shadow::run(self, command.as_ref()).await
            }
            Command::Policy(PolicyCommand::Reload) => administration::reload(self).await,
            Command::Pam(command) => pam::run(self, command).await,
            Command::Doctor => doctor::run(self).await,
            Command::Audit {
                user,
                since,
                follow,
                limit,
            } => {
                let since = since
                    .map(|text| crate::since::parse(&text, self.now, &self.zone))
                    .transpose()?;
                audit::run(self, audit::Wanted { user, since, limit }, follow).await
            }
        }
    }

    /// The administrator's acts, about which polkit can ask a person at the terminal.
    pub async fn administration(&mut self) -> Result<AdministrationProxy<'a>, Failure> {
        let proxy = self.client.administration().await?;
        if self.agent.is_none() && !geteuid().is_root() && self.terminal.is_attended() {
            self.agent = Agent::start().await;
        }
        Ok(proxy)
    }

    /// Prints `value` as one line of JSON, or `text`.
    pub fn show(&mut self, value: &Value, text: &str) -> Result<(), Failure> {
        if self.json {
            self.terminal.line(&value.to_string())
        } else {
            self.terminal.print(text)
        }
    }

    /// Fails unless a question can be answered: a person is there, or `--yes` answers it. Called first, so that a
    /// script learns of its mistake before anything has happened.
    pub fn must_be_confirmable(&self) -> Result<(), Failure> {
        if self.yes || self.terminal.is_attended() {
            return Ok(());
        }
        Err(Failure::Usage(
            "This needs a confirmation: run it at a terminal, or add --yes.".to_owned(),
        ))
    }

    /// Asks before something that cannot be undone.
    pub async fn confirm(&mut self, question: &str) -> Result<(), Failure> {
        self.must_be_confirmable()?;
        if self.yes || self.terminal.confirm(question).await? {
            return Ok(());
        }
        Err(Failure::Stopped(
            "Not confirmed: nothing was changed.".to_owned(),
        ))
    }
}

/// `arguments` as a shell would read them back.
pub fn quoted(arguments: impl IntoIterator<Item = String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    let quoted: Vec<String> = arguments
        .into_iter()
        .map(|argument| {
            if !argument.is_empty() && argument.chars().all(plain) {
                argument
            } else {
                let shown = mfad_protocol::printable(&argument);
                format!("'{}'", shown.replace('\'', r"'\''"))
            }
        })
        .collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggested_command_survives_the_shell() {
        let arguments = ["user", "show", "o'neil; rm -rf /", "", "a-b"].map(str::to_owned);
        assert_eq!(quoted(arguments), r"user show 'o'\''neil; rm -rf /' '' a-b");
    }
}
