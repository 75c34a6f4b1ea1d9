//! Enrolling: shows what the daemon offers, once, and has it stored only when the person has shown that it works.
//! The offer holds secrets; it goes to the terminal and nowhere else.

use mfad_protocol::{CredentialInfo, EnrollmentOffer, UserInfo};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::{EnrollArgs, Kind};
use crate::client::{EnrollmentProxy, failure};
use crate::command::Console;
use crate::failure::{Failure, Refusal};
use crate::own::with_grant;
use crate::qr::{self, Drawing, Paint};
use crate::render;
use crate::security_key;
use crate::ssh_agent;
use crate::terminal::{Echo, Look, Tone};

/// How often a first code may be typed.
const TRIES: u32 = 3;

/// `mfactl enroll` and `mfactl codes`: the caller's own factor.
pub async fn own(console: &mut Console<'_>, what: &EnrollArgs) -> Result<(), Failure> {
    let options = what.options()?;
    let proxy = console.client.enrollment().await?;
    if what.kind == Kind::BackupCodes {
        console.must_be_confirmable()?;
        let info = proxy.status().await.map_err(failure)?;
        warn_of_replacement(console, &info, "Your").await?;
    }
    let offer = with_grant(console.client, console.terminal, async |grant| {
        proxy.begin(what.kind.word(), options.clone(), grant).await
    })
    .await?;
    console.client.offer_begun(&offer.id);
    let stored = conclude(console, &proxy, what, &offer).await;
    match stored {
        Ok(_) => console.client.offer_over(&offer.id),
        Err(_) => {
            console.client.abandon().await;
        }
    }
    report(console, what.kind, &stored?)
}

/// Shows the offer and has it stored.
async fn conclude(
    console: &mut Console<'_>,
    proxy: &EnrollmentProxy<'_>,
    what: &EnrollArgs,
    offer: &EnrollmentOffer,
) -> Result<CredentialInfo, Failure> {
    if what.kind.is_ssh_key() {
        return sign(console, proxy, offer).await;
    }
    if what.kind == Kind::Fido2 {
        return security_key::enroll(console, proxy, offer).await;
    }
    present(console, what, offer)?;
    if what.kind == Kind::BackupCodes {
        console.confirm("Have you kept them?").await?;
        return proxy.confirm(&offer.id, "").await.map_err(failure);
    }
    first_code(console, proxy, offer).await
}

/// Has the new key prove itself by one signature.
async fn sign(
    console: &mut Console<'_>,
    proxy: &EnrollmentProxy<'_>,
    offer: &EnrollmentOffer,
) -> Result<CredentialInfo, Failure> {
    let socket = ssh_agent::connect_or_say()?;
    if !console.json {
        let cue =
            "Your SSH agent is asked for a signature: touch your security key when it blinks.";
        console.terminal.remark(cue)?;
    }
    let signed = proxy.confirm_key(&offer.id, vec![socket.into()]).await;
    signed.map_err(failure)
}

/// Asks for a code of the new factor until it is right.
async fn first_code(
    console: &mut Console<'_>,
    proxy: &EnrollmentProxy<'_>,
    offer: &EnrollmentOffer,
) -> Result<CredentialInfo, Failure> {
    let prompt = if console.json {
        ""
    } else {
        "Type the code that it shows now: "
    };
    for left in (0..TRIES).rev() {
        let Some(code) = console.terminal.ask(prompt, Echo::On).await? else {
            return Err(Failure::Stopped(
                "The input ended before a code: nothing was stored.".to_owned(),
            ));
        };
        match proxy.confirm(&offer.id, code.trim()).await.map_err(failure) {
            Err(Failure::Refused(Refusal::Denied | Refusal::Invalid, _)) => {}
            other => return other,
        }
        if left > 0 && !console.json {
            console.terminal.remark(&format!(
                "That code is not right. Check that the clocks of this machine (`timedatectl`) and of your device are \
                 right, and type the next code. Tries left: {left}."
            ))?;
        }
    }
    Err(Failure::Stopped(format!(
        "No right code in {TRIES} tries: nothing was stored. Check both clocks (`timedatectl` here), then enroll again."
    )))
}

fn report(
    console: &mut Console<'_>,
    kind: Kind,
    credential: &CredentialInfo,
) -> Result<(), Failure> {
    let name = render::shown(&credential.name);
    let mut text = console
        .terminal
        .tint(Tone::Good, &format!("Stored “{name}”."));
    if kind == Kind::BackupCodes {
        text.push_str(" Older backup codes no longer work.\n");
    } else {
        text.push_str(" For the day it is lost, make backup codes: mfactl codes\n");
    }
    console.show(&render::credential_json(credential), &text)
}

/// Asks before backup codes that may be printed somewhere stop working.
pub async fn warn_of_replacement(
    console: &mut Console<'_>,
    info: &UserInfo,
    whose: &str,
) -> Result<(), Failure> {
    let old = info
        .credentials
        .iter()
        .find(|credential| credential.kind == Kind::BackupCodes.word());
    let Some(old) = old else { return Ok(()) };
    let left = old
        .left
        .map_or_else(String::new, |left| format!(" ({left} left)"));
    console
        .confirm(&format!(
            "{whose} older backup codes{left} stop working when the new ones are stored. Go on?"
        ))
        .await
}

/// Shows an offer: for a person, or as one line of JSON.
pub fn present(
    console: &mut Console<'_>,
    what: &EnrollArgs,
    offer: &EnrollmentOffer,
) -> Result<(), Failure> {
    if console.json {
        let line = Zeroizing::new(offer_json(offer).to_string());
        return console.terminal.line(&line);
    }
    let look = console.terminal.look();
    let text = offer_text(offer, what, look)?;
    console.terminal.print(&text)
}

/// An offer for scripts.
fn offer_json(offer: &EnrollmentOffer) -> Value {
    let mut value = json!({"id": offer.id, "name": offer.name, "kind": offer.kind});
    if let Some(fields) = value.as_object_mut() {
        if let Some(uri) = &offer.uri {
            fields.insert("uri".to_owned(), json!(uri));
        }
        if let Some(secret) = &offer.secret {
            fields.insert("secret".to_owned(), json!(secret));
        }
        if let Some(codes) = &offer.codes {
            fields.insert("codes".to_owned(), json!(codes));
        }
    }
    value
}

/// An offer for a person.
fn offer_text(
    offer: &EnrollmentOffer,
    what: &EnrollArgs,
    look: Look,
) -> Result<Zeroizing<String>, Failure> {
    match (&offer.uri, &offer.secret, &offer.codes) {
        (Some(uri), Some(secret), _) if is_plain(uri) && is_plain(secret) => {
            Ok(secret_text(offer, uri, secret, what, look))
        }
        (_, _, Some(codes)) if codes.iter().all(|code| is_plain(code)) => Ok(codes_text(codes)),
        _ => Err(Failure::Refused(
            Refusal::Other,
            "The daemon's offer cannot be shown: mfactl and mfad may be of different versions."
                .to_owned(),
        )),
    }
}

/// A secret, URI or code is printed whole, so it must be what such things are made of: printable ASCII.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4096 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn secret_text(
    offer: &EnrollmentOffer,
    uri: &str,
    secret: &str,
    what: &EnrollArgs,
    look: Look,
) -> Zeroizing<String> {
    let name = render::shown(&offer.name);
    let grouped = grouped(secret);
    let drawing = Drawing {
        paint: match look.drawing.paint {
            Paint::LightText if what.invert => Paint::DarkText,
            Paint::DarkText if what.invert => Paint::LightText,
            paint => paint,
        },
        ..look.drawing
    };
    let drawn = if what.text {
        None
    } else {
        qr::draw(uri, drawing, look.width)
    };
    Zeroizing::new(match drawn {
        Some(code) => format!(
            "Scan this with your authenticator app; it will be called “{name}”:\n\n{}\nOr type the secret: {}\n",
            *code, *grouped
        ),
        None if what.text => format!("Secret of “{name}”: {}\nURI: {uri}\n", *grouped),
        None => format!(
            "This terminal is too narrow for a QR code. Widen it and start again, or type the secret.\nSecret of “{name}”: {}\nURI: {uri}\n",
            *grouped
        ),
    })
}

fn codes_text(codes: &[String]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(
        "Your backup codes. Each lets you in once, in place of a code of your device.\n\n"
            .to_owned(),
    );
    for (index, code) in codes.iter().enumerate() {
        // The daemon groups them by hyphens; people type them as they see them.
        let grouped = if code.contains('-') {
            Zeroizing::new(code.clone())
        } else {
            grouped(code)
        };
        text.push_str(&Zeroizing::new(format!("{:>4}. {}\n", index + 1, *grouped)));
    }
    text.push_str(
        "\nPrint them or write them down, and keep them where your device is not. They are not shown again.\n",
    );
    text
}

/// In groups of four, as people type.
fn grouped(text: &str) -> Zeroizing<String> {
    let mut groups = Zeroizing::new(String::with_capacity(text.len() * 2));
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            groups.push(' ');
        }
        groups.push(character);
    }
    groups
}

#[cfg(test)]
#[path = "enroll_tests.rs"]
mod tests;
