//! A user's own factors: show, remove, rename. Enrolling is in `enroll`.

use nix::unistd::geteuid;
use serde_json::json;

use crate::client::{Client, failure};
use crate::command::Console;
use crate::dialogue;
use crate::failure::{Failure, Refusal};
use crate::render;
use crate::terminal::Terminal;

/// `mfactl status`. An administrator hears first what is wrong with the daemon: that is nobody else's business.
pub async fn status(console: &mut Console<'_>) -> Result<(), Failure> {
    let problems = if geteuid().is_root() {
        let proxy = console.client.administration().await?;
        // A daemon that does not answer this does not answer what follows either, and that is told.
        proxy
            .status()
            .await
            .map_or_else(|_| Vec::new(), |status| status.problems)
    } else {
        Vec::new()
    };
    let proxy = console.client.enrollment().await?;
    let info = proxy.status().await.map_err(failure)?;
    let mut text = render::problems(&problems);
    text.push_str(&render::user(&info, &console.zone));
    if !info.enrolled {
        text.push_str("Add one with: mfactl enroll totp\n");
    }
    let mut json = render::user_json(&info);
    if !problems.is_empty() {
        let shown = problems.iter().map(|problem| render::shown(problem));
        json["problems"] = shown.collect::<Vec<_>>().into();
    }
    console.show(&json, &text)
}

/// `mfactl remove`.
pub async fn remove(console: &mut Console<'_>, factor: &str) -> Result<(), Failure> {
    console.must_be_confirmable()?;
    let shown = render::shown(factor);
    console
        .confirm(&format!(
            "Remove your factor “{shown}”? It cannot be brought back."
        ))
        .await?;
    let proxy = console.client.enrollment().await?;
    with_grant(console.client, console.terminal, async |grant| {
        proxy.remove(factor, grant).await
    })
    .await?;
    console.show(&json!({"removed": shown}), &format!("Removed “{shown}”.\n"))
}

/// `mfactl rename`.
pub async fn rename(console: &mut Console<'_>, factor: &str, name: &str) -> Result<(), Failure> {
    let proxy = console.client.enrollment().await?;
    proxy.rename(factor, name).await.map_err(failure)?;
    let (factor, name) = (render::shown(factor), render::shown(name));
    console.show(
        &json!({"renamed": factor, "name": name}),
        &format!("“{factor}” is now called “{name}”.\n"),
    )
}

/// Makes a call that may need a grant: without one first, then with the one that a dialogue on this terminal earns.
pub async fn with_grant<T>(
    client: &Client,
    terminal: &mut Terminal,
    call: impl AsyncFn(&str) -> zbus::Result<T>,
) -> Result<T, Failure> {
    match call("").await.map_err(failure) {
        Err(Failure::Refused(Refusal::NeedsGrant, _)) => {
            let grant = dialogue::prove(client, terminal).await?;
            call(&grant).await.map_err(failure)
        }
        other => other,
    }
}
