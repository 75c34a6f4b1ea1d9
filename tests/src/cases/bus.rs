//! The daemon's interfaces as any local user finds them: what is there, who may call what, and what becomes of a call
//! whose caller has gone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Case, WITH_SYSTEMD, drive::SERVICE};
use crate::{
    Failure, Outcome,
    bed::Kind,
    failure::ensure,
    host::Host,
    interface::{self, Method},
    totp::Totp,
};

mod table;

use table::{Came, ROWS, Row};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "what the daemon says of its interfaces is what their file says",
        introspection,
    ),
    Case::new(
        "every method answers every kind of caller on every way in as the table says",
        matrix,
    )
    .within(180),
    Case::new("whom polkit lets may administer, and nobody else", polkit).on(WITH_SYSTEMD),
    Case::new(
        "nobody but the daemon's user and root may own its name",
        names,
    ),
    Case::new(
        "calls whose callers have gone already do nothing",
        disconnected,
    )
    .within(600),
];

const FILE: &str = "/usr/share/dbus-1/interfaces/org.mfad.Mfad1.xml";
const WAYS: [&str; 3] = ["bus", "/run/mfad/pam.sock", "/run/mfad/user.sock"];
/// Who calls: nobody in particular, whose factor it is, another user, the daemon's own user, and root.
const CALLERS: [&str; 5] = ["nobody", "alice", "bob", "mfad", "root"];

impl Host {
    /// Makes calls as `user` on one connection, and returns what each came to.
    fn calls(&self, user: &str, way: &str, calls: &[Value]) -> Result<Vec<Value>, Failure> {
        let lines: Vec<String> = calls.iter().map(Value::to_string).collect();
        self.write("/tmp/calls", "0644", &lines.join("\n"))?;
        let came = self.ok(&format!("runuser -u {user} -- busdrive {way} </tmp/calls"))?;
        let came: Vec<Value> = came
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        ensure(came.len() == calls.len(), || {
            format!("{} answers to {} calls", came.len(), calls.len())
        })?;
        Ok(came)
    }
}

fn call(method: &Method, arguments: Value) -> Value {
    json!({
        "interface": method.interface,
        "member": method.member,
        "signature": method.signature,
        "arguments": arguments,
    })
}

/// A call of a method in the interface file.
pub(super) fn call_of(host: &Host, name: &str, arguments: Value) -> Result<Value, Failure> {
    let methods = methods(host)?;
    let method = methods
        .iter()
        .find(|method| full_name(method) == name)
        .ok_or_else(|| Failure::new(format!("{FILE} has no method {name}")))?;
    Ok(call(method, arguments))
}

fn methods(host: &Host) -> Result<Vec<Method>, Failure> {
    interface::methods(&host.ok(&format!("cat {FILE}"))?)
}

/// As the table names it.
fn full_name(method: &Method) -> String {
    let short = method.interface.strip_prefix("org.mfad.Mfad1.");
    format!("{}.{}", short.unwrap_or(&method.interface), method.member)
}

fn introspection(host: &Host) -> Outcome {
    host.put_busdrive()?;
    host.enrolled("alice")?;
    let file = interface::described(&host.ok(&format!("cat {FILE}"))?)?;
    let ask = json!({
        "interface": "org.freedesktop.DBus.Introspectable",
        "member": "Introspect",
        "signature": "",
        "arguments": [],
    });
    for way in WAYS {
        let came = host.calls("root", way, std::slice::from_ref(&ask))?;
        let document = came[0]["reply"][0]
            .as_str()
            .ok_or_else(|| Failure::new(format!("{way}: no document but {}", came[0])))?;
        let mut wanted = file.clone();
        if way != "bus" {
            wanted.retain(|line| line.contains(" interface org.mfad.Mfad1.Authentication"));
        }
        let differences = interface::differences(&wanted, &interface::described(document)?);
        ensure(!wanted.is_empty() && differences.is_empty(), || {
            format!(
                "{way}: the file (-) and the daemon (+) differ:\n{}",
                differences.join("\n")
            )
        })?;
    }
    Ok(())
}

/// What the calls are about, besides alice and the callers.
struct Stage {
    /// Of alice's first factor.
    credential: String,
    /// Alice's dialogue, which root has begun on a connection of its own.
    dialogue: String,
    alice: Totp,
    /// Codes of alice's token, to be spent one after the other, and how many should be by now.
    token: Vec<String>,
    spent: usize,
    /// Carol's, who is no caller: an offer that she has not confirmed yet.
    offer: String,
    carol: Totp,
}

impl Stage {
    fn set(host: &Host) -> Result<Self, Failure> {
        host.use_drive()?;
        host.put_busdrive()?;
        host.write(
            "/etc/mfa/mfad.toml",
            "0644",
            "[session]\ndialogue = \"5m\"\n",
        )?;
        let (_, alice) = host.enrolled("alice")?;
        host.person("bob")?;
        host.person("carol")?;
        host.enrolled("dave")?;
        host.ok("mfactl policy reload")?;
        let credential = host.user("alice")?["credentials"][0]["id"]
            .as_str()
            .ok_or_else(|| Failure::new("alice's factor has no id"))?
            .to_owned();
        let token = host.enroll_token("alice", 8)?;
        let begin = call_of(host, "Enrollment.Begin", json!(["totp", {}, ""]))?;
        let came = host.calls("carol", "bus", &[begin])?;
        let text = |key: &str| came[0]["reply"][0][key].as_str().unwrap_or_default();
        let (offer, carol) = (text("id").to_owned(), Totp::from_uri(text("uri"))?);
        // Its own connection, fed line by line: what holds the dialogue open.
        host.write("/tmp/held.in", "0644", "")?;
        host.ok("setsid sh -c 'tail -n +1 -f /tmp/held.in | busdrive bus >/tmp/held' >/dev/null 2>&1 </dev/null & disown")?;
        let begin = call_of(host, "Authentication.Begin", json!([context("alice"), []]))?;
        let came = Self::held(host, &begin, 1)?;
        let dialogue = came["reply"][0].as_str().unwrap_or_default().to_owned();
        ensure(!dialogue.is_empty() && !offer.is_empty(), || {
            format!("no dialogue in {came}, or no offer")
        })?;
        Ok(Self {
            credential,
            dialogue,
            alice,
            token,
            spent: 0,
            offer,
            carol,
        })
    }

    /// Makes the `number`th call on the connection that holds the dialogue.
    fn held(host: &Host, call: &Value, number: u32) -> Result<Value, Failure> {
        host.json(&format!(
            "echo {} >>/tmp/held.in; for i in $(seq 600); do [ $(wc -l </tmp/held) -ge {number} ] && break; sleep 0.05; done; \
             sed -n {number}p /tmp/held",
            crate::host::quoted(&call.to_string())
        ))
    }

    /// The arguments of a row, as `caller` passes them.
    fn arguments(&self, row: &Row, caller: &str) -> Result<Value, Failure> {
        let text = row
            .arguments
            .replace("CONTEXT", &context("USER").to_string())
            .replace("USER", if row.own { caller } else { "alice" })
            .replace("DIALOGUE", &self.dialogue)
            .replace("CREDENTIAL", &self.credential)
            .replace("OFFER", &self.offer)
            .replace("TOKEN", &self.token[self.spent])
            .replace("CODE", &self.alice.code(0)?)
            .replace("NEXT", &self.carol.code(0)?);
        Ok(serde_json::from_str(&text)?)
    }

    /// What nobody's call may have changed.
    fn untouched(&self, host: &Host) -> Outcome {
        let code = self.alice.code(0)?;
        let respond = call_of(
            host,
            "Authentication.Respond",
            json!([self.dialogue, [code], []]),
        )?;
        let came = Self::held(host, &respond, 2)?;
        ensure(came["reply"][0]["state"] == "granted", || {
            format!("root's dialogue, left alone, came to {came}")
        })?;
        let confirm = call_of(
            host,
            "Enrollment.Confirm",
            json!([self.offer, self.carol.code(0)?]),
        )?;
        let came = host.calls("carol", "bus", &[confirm])?;
        ensure(came[0]["reply"][0]["kind"] == "totp", || {
            format!("carol's offer, left alone, came to {}", came[0])
        })
    }
}

/// What a host program says of a login.
pub(super) fn context(user: &str) -> Value {
    json!({"protocol": 1, "hook": "auth", "service": SERVICE, "user": user, "after-password": true})
}

fn matrix(host: &Host) -> Outcome {
    let methods = methods(host)?;
    let known: BTreeSet<String> = methods.iter().map(full_name).collect();
    let told: BTreeSet<String> = ROWS.iter().map(|row| row.method.to_owned()).collect();
    ensure(known == told, || {
        format!(
            "the table and {FILE} name different methods: {:?}",
            known.symmetric_difference(&told).collect::<Vec<_>>()
        )
    })?;
    let mut stage = Stage::set(host)?;
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for (column, caller) in CALLERS.into_iter().enumerate() {
        for (way, name) in WAYS.into_iter().enumerate() {
            let calls: Vec<Value> = ROWS
                .iter()
                .map(|row| call_of(host, row.method, stage.arguments(row, caller)?))
                .collect::<Result<_, _>>()?;
            let came = host.calls(caller, name, &calls)?;
            for (row, came) in ROWS.iter().zip(&came) {
                let (wanted, seen) = (row.expected(way, column), Came::of(came));
                tried += 1;
                stage.spent += usize::from(seen == Some(Came::Granted));
                if seen != Some(wanted) {
                    wrong.push(format!(
                        "{} ({}) by {caller} on {name}: {wanted:?} expected, but {came}",
                        row.method, row.about
                    ));
                }
            }
        }
        // Root, the last, may do all of it.
        if caller == "mfad" {
            stage.untouched(host)?;
        }
    }
    ensure(wrong.is_empty(), || {
        format!("{} of {tried}:\n{}", wrong.len(), wrong.join("\n"))
    })?;
    println!("  {} methods, {tried} cells", methods.len());
    Ok(())
}

fn polkit(host: &Host) -> Outcome {
    host.put_busdrive()?;
    host.enrolled("alice")?;
    host.person("bob")?;
    let show = call_of(host, "Administration.ShowUser", json!(["alice"]))?;
    let asked = |user: &str| host.calls(user, "bus", std::slice::from_ref(&show));
    ensure(Came::of(&asked("bob")?[0]) == Some(Came::Refused), || {
        "bob may administer before polkit lets him".to_owned()
    })?;
    host.write(
        "/etc/polkit-1/rules.d/10-case.rules",
        "0644",
        "polkit.addRule(function(action, subject) { if (action.id == 'org.mfad.administer' && subject.user == 'bob') return polkit.Result.YES; });\n",
    )?;
    host.ok("systemctl restart polkit")?;
    let came = asked("bob")?;
    ensure(came[0]["reply"][0]["user"] == "alice", || {
        format!("bob, whom polkit lets, is told {}", came[0])
    })?;
    for user in ["alice", "nobody", "mfad"] {
        let came = asked(user)?;
        ensure(Came::of(&came[0]) == Some(Came::Refused), || {
            format!("{user} is told {}", came[0])
        })?;
    }
    // Without polkit nobody's word counts for root's.
    host.ok("systemctl mask --runtime --now polkit")?;
    let came = asked("bob")?;
    ensure(Came::of(&came[0]) == Some(Came::Refused), || {
        format!("bob is told {} without polkit", came[0])
    })
}

fn names(host: &Host) -> Outcome {
    host.person("bob")?;
    for user in ["nobody", "bob"] {
        let asked = host.sh_as(
            user,
            "dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.RequestName \
             string:org.mfad.Mfad1 uint32:7",
        )?;
        ensure(
            asked.status != 0 && asked.stderr.contains("AccessDenied"),
            || format!("{user} asked for the name: {asked:?}"),
        )?;
    }
    Ok(())
}

fn disconnected(host: &Host) -> Outcome {
    let rounds = if std::env::var_os("MFA_PROVE").is_some() {
        10_000
    } else {
        1_000
    };
    host.put_busdrive()?;
    host.enrolled("alice")?;
    host.person("bob")?;
    let before = host.user("alice")?;
    let enroll = json!(["alice", "hotp", {"name": "mine"}]);
    for (name, arguments) in [
        ("Administration.EnrollUser", enroll),
        ("Administration.ResetUser", json!(["alice"])),
    ] {
        let call = call_of(host, name, arguments)?;
        host.write("/tmp/calls", "0644", &format!("{call}\n"))?;
        // Twice as many in all: half of each kind.
        let sent = host.json(&format!(
            "runuser -u bob -- busdrive bus --races {} </tmp/calls",
            rounds / 2
        ))?;
        ensure(sent["sent"] == rounds / 2, || format!("{name}: {sent}"))?;
    }
    // What was sent is behind us in the daemon's queue.
    host.ok("mfactl status >/dev/null")?;
    let after = host.user("alice")?;
    ensure(before == after, || {
        format!("alice's factors changed, from {before} to {after}")
    })?;
    println!(
        "  {rounds} calls by callers that had gone, none granted: fewer than one in {} at 95 %{}",
        rounds / 3,
        match host.kind() {
            Kind::Nspawn | Kind::Vm => ", with polkit",
            Kind::Namespaces => "",
        }
    );
    Ok(())
}
