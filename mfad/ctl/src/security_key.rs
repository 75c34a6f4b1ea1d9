//! Security keys of this machine: enrolling the one that is plugged in, and taking over those of pam_u2f. It talks to no key;
//! the daemon has its helper do that.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::AsFd as _,
    path::Path,
};

use mfad_protocol::{CredentialInfo, EnrollmentOffer, EnrollmentOptions, State, limits, printable};
use nix::unistd::gethostname;

use crate::client::{self, EnrollmentProxy};
use crate::command::Console;
use crate::dialogue;
use crate::failure::{Failure, Refusal};
use crate::{administration, kernel, render};

/// Largest file of pam_u2f's that is read, in bytes.
const MOST: u64 = 4 * 1024 * 1024;

/// Turns of an enrollment until the key has made its credential.
pub async fn enroll(
    console: &mut Console<'_>,
    proxy: &EnrollmentProxy<'_>,
    offer: &EnrollmentOffer,
) -> Result<CredentialInfo, Failure> {
    // The daemon looks whether we sit at the machine: by our session.
    let process = kernel::own_process().map_err(|error| {
        Failure::Stopped(format!("The kernel does not name this process: {error}."))
    })?;
    if !console.json {
        console
            .terminal
            .remark("Plug in the key, and touch it when it blinks.")?;
    }
    let mut answers = Vec::new();
    for _ in 0..limits::STEPS {
        let lent = process.as_fd().try_clone_to_owned();
        let lent = lent.map_err(|error: io::Error| Failure::Stopped(error.to_string()))?;
        let (step, stored) = proxy
            .confirm_security_key(&offer.id, answers, vec![lent.into()])
            .await
            .map_err(client::failure)?;
        if step.state == State::Granted {
            return stored.into_iter().next().ok_or_else(nonsense);
        }
        if step.state.is_final() {
            return Err(nonsense());
        }
        let typed = dialogue::show(console.terminal, &step.messages).await?;
        answers = typed
            .iter()
            .map(|typed| typed.as_bytes().to_vec())
            .collect();
    }
    Err(nonsense())
}

fn nonsense() -> Failure {
    Failure::Refused(
        Refusal::Other,
        "The daemon's answer cannot be understood: mfactl and mfad may be of different versions."
            .to_owned(),
    )
}

/// `mfactl import pam-u2f`: each credential for the user of its line.
pub async fn import(
    console: &mut Console<'_>,
    file: &Path,
    origin: Option<&str>,
) -> Result<(), Failure> {
    let text = read(file)?;
    let origin = match origin {
        Some(origin) => origin.to_owned(),
        None => default_origin()?,
    };
    let proxy = console.administration().await?;
    let (mut taken, mut failed) = (0_u32, 0_u32);
    for (user, record) in credentials(&text) {
        let options = EnrollmentOptions {
            key: Some(record.to_owned()),
            rp_id: Some(origin.clone()),
            ..EnrollmentOptions::default()
        };
        let line = match proxy.enroll_user(user, "fido2", options).await {
            Ok(offer) => {
                taken += 1;
                format!(
                    "{}: took over “{}”.",
                    printable(user),
                    render::shown(&offer.name)
                )
            }
            Err(error) => match administration::failure(console, error) {
                Failure::Refused(Refusal::Exists, _) => {
                    format!("{}: has it already.", printable(user))
                }
                Failure::Refused(Refusal::Invalid | Refusal::NotFound | Refusal::Other, why) => {
                    failed += 1;
                    format!("{}: {why}", printable(user))
                }
                other => return Err(other),
            },
        };
        if !console.json {
            console.terminal.line(&line)?;
        }
    }
    let value = serde_json::json!({"taken": taken, "failed": failed, "origin": origin});
    let end = format!(
        "{taken} taken over for the origin {}, {failed} not.\n",
        printable(&origin)
    );
    console.show(&value, &end)?;
    if failed > 0 {
        return Err(Failure::Reported);
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    let unreadable = |error: io::Error| Failure::Usage(format!("{}: {error}.", file.display()));
    let mut text = String::new();
    let read = File::open(file)
        .and_then(|file| file.take(MOST + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if read as u64 > MOST {
        return Err(Failure::Usage(format!("{} is too long.", file.display())));
    }
    Ok(text)
}

/// What pam_u2f takes where its `origin=` is not set.
fn default_origin() -> Result<String, Failure> {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    name.map(|name| format!("pam://{name}"))
        .ok_or_else(|| Failure::Usage("This host has no name; say --origin.".to_owned()))
}

/// Users and their credentials. A line holds one user and any number of them.
fn credentials(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(user, records)| {
            let records = records.split(':').filter(|record| !record.is_empty());
            records.map(move |record| (user, record))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_a_user_and_any_number_of_credentials() {
        let text = "# comment\n\nalice:AQID,AA,es256,+presence:BAUG,AA,eddsa,+pin\nnobody\nbob:\ncarol:x,y\n";
        let read: Vec<_> = credentials(text).collect();
        assert_eq!(
            read,
            [
                ("alice", "AQID,AA,es256,+presence"),
                ("alice", "BAUG,AA,eddsa,+pin"),
                ("carol", "x,y"),
            ]
        );
    }
}
