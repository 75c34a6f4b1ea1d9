//! An administrator's acts on users and on the daemon. Who may do them is the daemon's to decide.

use mfad_protocol::UserInfo;
use nix::unistd::geteuid;
use serde_json::json;

use crate::cli::{EnrollArgs, Kind, UserCommand};
use crate::client;
use crate::command::Console;
use crate::enroll;
use crate::failure::{Failure, Refusal};
use crate::render;
use crate::terminal::Tone;
use crate::{demand, trust};

/// Users asked for at a time.
const PAGE: u32 = 200;

/// `mfactl user …`.
pub async fn run(console: &mut Console<'_>, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::List => list(console).await,
        UserCommand::Show { user } => {
            let info = fetch(console, &user).await?;
            let text = render::user(&info, &console.zone);
            console.show(&render::user_json(&info), &text)
        }
        UserCommand::Enroll { user, what } => enroll_user(console, &user, &what).await,
        UserCommand::Unlock { user, clock } => unlock(console, &user, clock).await,
        UserCommand::Reset { user } => reset(console, &user).await,
        UserCommand::Trust(command) => trust::of_user(console, command).await,
        UserCommand::Require { user, clear } => demand::of_user(console, &user, clear).await,
        UserCommand::Remove { user, factor } => remove(console, &user, &factor).await,
    }
}

/// A call's error: for somebody who is not root, a refusal means that root is needed.
pub fn failure(console: &Console<'_>, error: zbus::Error) -> Failure {
    match client::failure(error) {
        Failure::Refused(Refusal::Denied, _) if !geteuid().is_root() => Failure::NeedsRoot {
            command: format!("sudo mfactl {}", console.arguments),
        },
        other => other,
    }
}

async fn fetch(console: &mut Console<'_>, user: &str) -> Result<UserInfo, Failure> {
    let proxy = console.administration().await?;
    proxy
        .show_user(user)
        .await
        .map_err(|error| failure(console, error))
}

/// Page by page, so that a host with a million users neither waits nor fills the memory.
async fn list(console: &mut Console<'_>) -> Result<(), Failure> {
    let proxy = console.administration().await?;
    let mut after = String::new();
    let mut count = 0_u64;
    if console.json {
        console.terminal.print("[")?;
    }
    loop {
        let page = proxy
            .list_users(&after, PAGE)
            .await
            .map_err(|error| failure(console, error))?;
        let Some(last) = page.last() else { break };
        // The order is the daemon's; one that does not advance would never end.
        if last.user <= after {
            break;
        }
        after.clone_from(&last.user);
        if console.json {
            for info in &page {
                let comma = if count == 0 { "" } else { "," };
                let line = format!("{comma}\n{}", render::user_json(info));
                console.terminal.print(&line)?;
                count += 1;
            }
        } else {
            let text = render::users(&page, count == 0, &console.zone);
            console.terminal.print(&text)?;
            count += page.len() as u64;
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    if console.json {
        console.terminal.line("\n]")
    } else if count == 0 {
        console
            .terminal
            .line("Nobody is enrolled. Enroll somebody with: sudo mfactl user enroll USER totp")
    } else {
        Ok(())
    }
}

async fn enroll_user(
    console: &mut Console<'_>,
    user: &str,
    what: &EnrollArgs,
) -> Result<(), Failure> {
    let options = what.options()?;
    let shown = render::shown(user);
    if what.kind == Kind::BackupCodes {
        match fetch(console, user).await {
            Ok(info) => enroll::warn_of_replacement(console, &info, &format!("{shown}'s")).await?,
            // Somebody without a record has no older codes; whether they exist at all, the enrollment says.
            Err(Failure::Refused(Refusal::NotFound, _)) => {}
            Err(other) => return Err(other),
        }
    }
    let proxy = console.administration().await?;
    let offer = proxy
        .enroll_user(user, what.kind.word(), options)
        .await
        .map_err(|error| failure(console, error))?;
    // There is nothing to be shown of a key to a person.
    if console.json || !what.kind.is_ssh_key() {
        enroll::present(console, what, &offer)?;
    }
    if console.json {
        return Ok(());
    }
    let line = format!(
        "Stored “{}” for {shown}; it works at once.",
        render::shown(&offer.name)
    );
    let line = console.terminal.tint(Tone::Good, &line);
    console.terminal.line(&line)
}

async fn unlock(console: &mut Console<'_>, user: &str, clock: bool) -> Result<(), Failure> {
    let proxy = console.administration().await?;
    proxy
        .unlock_user(user, clock)
        .await
        .map_err(|error| failure(console, error))?;
    let user = render::shown(user);
    let codes = if clock {
        " Codes of the current time are accepted again."
    } else {
        ""
    };
    console.show(
        &json!({"unlocked": user, "clock": clock}),
        &format!("Unlocked {user}: no delays, no failures.{codes}\n"),
    )
}

async fn reset(console: &mut Console<'_>, user: &str) -> Result<(), Failure> {
    console.must_be_confirmable()?;
    let info = fetch(console, user).await?;
    let names: Vec<String> = info
        .credentials
        .iter()
        .map(|credential| format!("“{}”", render::shown(&credential.name)))
        .collect();
    let user_shown = render::shown(user);
    console
        .confirm(&format!(
            "Remove all factors of {user_shown} ({})? They cannot be brought back, and the policy's [unenrolled] \
             then decides about logins.",
            names.join(", ")
        ))
        .await?;
    let proxy = console.administration().await?;
    proxy
        .reset_user(user)
        .await
        .map_err(|error| failure(console, error))?;
    console.show(
        &json!({"reset": user_shown}),
        &format!("Removed all factors of {user_shown}.\n"),
    )
}

async fn remove(console: &mut Console<'_>, user: &str, factor: &str) -> Result<(), Failure> {
    console.must_be_confirmable()?;
    let (user_shown, factor_shown) = (render::shown(user), render::shown(factor));
    console
        .confirm(&format!(
            "Remove “{factor_shown}” of {user_shown}? It cannot be brought back."
        ))
        .await?;
    let proxy = console.administration().await?;
    proxy
        .remove_credential(user, factor)
        .await
        .map_err(|error| failure(console, error))?;
    console.show(
        &json!({"user": user_shown, "removed": factor_shown}),
        &format!("Removed “{factor_shown}” of {user_shown}.\n"),
    )
}

/// `mfactl policy reload`.
pub async fn reload(console: &mut Console<'_>) -> Result<(), Failure> {
    let proxy = console.administration().await?;
    let report = proxy
        .reload()
        .await
        .map_err(|error| failure(console, error))?;
    console.show(&render::reload_json(&report), &render::reload(&report))?;
    if report.applied {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}
