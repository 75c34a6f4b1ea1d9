//! An administrator's commands, from a script.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::mock::{MockDaemon, SECRET, State};
use crate::program::{mfactl, run};

const RECORD: &str = r#"{"time":1795511564,"event":"authentication","outcome":"granted","user":"alice","service":"sshd"}"#;

#[test]
fn a_factor_for_a_user_is_one_json_object_and_usable_at_once() {
    let daemon = MockDaemon::with_users(&["bob"]);
    let mut command = mfactl(
        &daemon.bus.socket(),
        &["user", "enroll", "bob", "totp", "--json"],
    );
    let outcome = run(&mut command, "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let offer = &outcome.json()[0];
    assert_eq!(outcome.json().len(), 1);
    for (key, value) in [("id", "credential-1"), ("name", "totp"), ("secret", SECRET)] {
        assert_eq!(offer[key], value);
    }
    assert!(
        offer["uri"]
            .as_str()
            .unwrap()
            .starts_with("otpauth://totp/")
    );
    assert_eq!(daemon.calls(), ["EnrollUser bob totp"]);
}

#[test]
fn users_come_page_by_page_and_none_is_lost() {
    let names: Vec<String> = (0..450).map(|number| format!("user{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let daemon = MockDaemon::with_users(&names);
    let socket = daemon.bus.socket();
    let outcome = run(&mut mfactl(&socket, &["user", "list", "--json"]), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let list: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let listed: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["user"].as_str().unwrap())
        .collect();
    assert_eq!(listed, names);
    assert_eq!(
        daemon.calls(),
        ["ListUsers", "ListUsers user199", "ListUsers user399"].map(|call| {
            if call == "ListUsers" {
                "ListUsers ".to_owned()
            } else {
                call.to_owned()
            }
        })
    );
    let table = run(&mut mfactl(&socket, &["user", "list"]), "").out;
    assert_eq!(table.lines().count(), 451);
    assert_eq!(table.matches("LAST LOGIN").count(), 1);
}

#[test]
fn an_empty_list_is_still_json() {
    let daemon = MockDaemon::with_users(&[]);
    let outcome = run(
        &mut mfactl(&daemon.bus.socket(), &["user", "list", "--json"]),
        "",
    );
    let list: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(list, serde_json::json!([]));
}

#[test]
fn a_reset_needs_a_confirmation_and_unlocking_does_not() {
    let daemon = MockDaemon::with_users(&["bob"]);
    let socket = daemon.bus.socket();
    for arguments in [
        &["user", "reset", "bob"][..],
        &["user", "remove", "bob", "phone"],
    ] {
        assert_eq!(run(&mut mfactl(&socket, arguments), "y\n").code, 2);
    }
    assert!(daemon.calls().is_empty());
    for arguments in [
        &["user", "reset", "bob", "--yes"][..],
        &["user", "remove", "bob", "phone", "--yes"],
        &["user", "unlock", "bob", "--clock"],
    ] {
        let outcome = run(&mut mfactl(&socket, arguments), "");
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }
    assert_eq!(
        daemon.calls(),
        [
            "ShowUser bob",
            "ResetUser bob",
            "RemoveCredential bob phone",
            "UnlockUser bob true"
        ]
    );
    let outcome = run(
        &mut mfactl(&socket, &["user", "reset", "carol", "--yes"]),
        "",
    );
    assert_eq!(outcome.code, 1, "nobody is called carol");
}

#[test]
fn new_backup_codes_for_a_user_who_has_some_need_a_confirmation() {
    let daemon = MockDaemon::with_users(&["bob"]);
    let socket = daemon.bus.socket();
    let mut command = mfactl(&socket, &["user", "enroll", "bob", "backup-codes"]);
    assert_eq!(run(&mut command, "y\n").code, 2);
    assert_eq!(daemon.calls(), ["ShowUser bob"]);
    let mut command = mfactl(&socket, &["user", "enroll", "bob", "backup-codes", "--yes"]);
    assert_eq!(run(&mut command, "").code, 0);
}

#[test]
fn whoever_is_not_root_gets_the_exact_command() {
    let daemon = MockDaemon::start(State {
        deny_administration: true,
        ..State::default()
    });
    let outcome = run(&mut as_nobody(&daemon, &["user", "show", "o'neil"]), "");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("needs root"), "{outcome:?}");
    assert!(
        outcome.err.contains(r"user show 'o'\''neil'") && outcome.err.contains("sudo mfactl "),
        "{outcome:?}"
    );
    let outcome = run(&mut as_nobody(&daemon, &["doctor", "--json"]), "");
    assert_eq!(outcome.code, 1);
    assert_eq!(outcome.json()[0]["error"], "needs-root");
}

/// The program as somebody who is not root, whoever runs the tests. A copy of it, because nobody may not look into
/// every build directory.
fn as_nobody(daemon: &MockDaemon, arguments: &[&str]) -> Command {
    let copy = daemon.bus.directory().join("mfactl");
    if !copy.exists() {
        // Not by this process: while it writes, another test's child could inherit the file, and keep it from being run.
        let copied = Command::new("cp")
            .args([env!("CARGO_BIN_EXE_mfactl").as_ref(), copy.as_os_str()])
            .status();
        assert!(copied.unwrap().success());
    }
    let mut command = Command::new(copy);
    command
        .env_clear()
        .arg("--bus-socket")
        .arg(daemon.bus.socket())
        .args(arguments);
    if geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

#[test]
fn a_refused_reload_is_exit_code_1() {
    let daemon = MockDaemon::start(State {
        broken_configuration: true,
        ..State::default()
    });
    let socket = daemon.bus.socket();
    let outcome = run(&mut mfactl(&socket, &["policy", "reload"]), "");
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.out.contains("policy.toml:1:1: broken"),
        "{outcome:?}"
    );
    daemon.state.lock().unwrap().broken_configuration = false;
    assert_eq!(run(&mut mfactl(&socket, &["policy", "reload"]), "").code, 0);
}

#[test]
fn policy_files_are_checked_without_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p.toml");
    let nowhere = std::path::Path::new("/nonexistent");
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        let arguments = ["policy", "check", "--json", path.to_str().unwrap()];
        run(&mut mfactl(nowhere, &arguments), "")
    };
    let good =
        check("[[rule]]\nname = \"all\"\nwhen = { service = \"sshd\" }\nrequire = \"none\"\n");
    assert_eq!(good.code, 0, "{good:?}");
    assert_eq!(good.json()[0]["rules"], 1);
    let broken = check("[[rule]]\nname = \"all\"\nwhem = 1\n");
    assert_eq!(broken.code, 1);
    let report = &broken.json()[0];
    assert_eq!(report["ok"], false);
    let lines = report["errors"].as_array().unwrap().iter();
    assert!(lines.clone().any(|error| error["line"] == 3), "{report}");
}

#[test]
fn what_is_probably_not_meant_is_a_warning_and_with_strict_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p.toml");
    let rule = |name: &str, when: &str, require: &str| {
        format!("[[rule]]\nname = \"{name}\"\nwhen = {{ {when} }}\nrequire = {require}\n\n")
    };
    let text = rule("all", "", "{ any = [\"hotp\"] }") + &rule("b", "user = \"b\"", "\"none\"");
    fs::write(&path, text).unwrap();
    let file = path.to_str().unwrap();
    // The mock's root has a telephone and a sheet of paper, and is asked for a token.
    let daemon = MockDaemon::with_users(&["root"]);
    let socket = daemon.bus.socket();
    let outcome = run(&mut mfactl(&socket, &["policy", "check", file]), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let shown = outcome.out.replace(file, "p.toml");
    assert!(
        shown.starts_with(
            "p.toml:8:8: warning: rule “b”: it never decides: \"all\" (p.toml:1) stands above it"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("    8 | when = { user = \"b\" }\n      |        ^^^^^^^^^^^^^^\n"),
        "{shown}"
    );
    assert!(
        shown.contains("p.toml:4:11: warning: rule “all”: no administrator can get in at su: root has totp, backup-codes, and is asked for { any = [\"hotp\"]"),
        "{shown}"
    );
    let strict = ["policy", "check", "--strict", "--json", file];
    let outcome = run(&mut mfactl(&socket, &strict), "");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let report = &outcome.json()[0];
    assert_eq!(report["ok"], false);
    let shadowed = &report["warnings"][0];
    assert_eq!(shadowed["kind"], "shadowed");
    assert_eq!(
        (&shadowed["line"], &shadowed["column"]),
        (&8.into(), &8.into())
    );
    let lockout = &report["warnings"][1];
    assert_eq!(
        (&lockout["rule"], &lockout["line"]),
        (&"all".into(), &4.into())
    );

    daemon.state.lock().unwrap().deny_administration = true;
    let outcome = run(&mut mfactl(&socket, &["policy", "check", file]), "");
    assert!(
        outcome
            .out
            .contains("Whether it locks administrators out is not known"),
        "{outcome:?}"
    );
}

#[test]
fn a_policy_is_compared_with_a_preset() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("etc/mfa/policy.d");
    fs::create_dir_all(&directory).unwrap();
    let nowhere = std::path::Path::new("/nonexistent");
    let root_option = ["--root", root.path().to_str().unwrap()];
    let check = |more: &[&str]| {
        let arguments = [
            &root_option[..],
            &["policy", "check", "--preset", "pci"],
            more,
        ]
        .concat();
        run(&mut mfactl(nowhere, &arguments), "")
    };
    let lacking = check(&[]);
    assert_eq!(lacking.code, 1, "{lacking:?}");
    assert!(
        lacking
            .out
            .contains("→ no floor without conditions demands a factor\n"),
        "{lacking:?}"
    );
    let preset = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../packaging/policy/presets/pci.toml"
    );
    fs::copy(preset, directory.join("00-preset.toml")).unwrap();
    let met = check(&["--json"]);
    assert_eq!(met.code, 0, "{met:?}");
    let rows = met.json()[0]["preset"]["requirements"]
        .as_array()
        .unwrap()
        .clone();
    assert!(
        rows.iter()
            .any(|row| row["source"] == "PCI DSS 8.3.4" && row["standing"] == "met")
    );
    assert!(rows.iter().any(|row| row["standing"] == "beyond"));
    fs::write(
        root.path().join("etc/mfa/mfad.toml"),
        "[throttle]\nmax-delay = \"29m\"\n",
    )
    .unwrap();
    let late = check(&[]);
    assert_eq!(late.code, 1, "{late:?}");
    assert!(late.out.contains("followed by 29m of delay"), "{late:?}");
}

#[test]
fn audit_records_are_lines() {
    let daemon = MockDaemon::start(State {
        records: vec![(1, 1_795_511_564, RECORD.into())],
        ..State::default()
    });
    let socket = daemon.bus.socket();
    let outcome = run(&mut mfactl(&socket, &["audit"]), "");
    insta::assert_snapshot!(outcome.out, @"1  2026-11-24 09:12:44  authentication  granted  alice, at sshd");
    let arguments = ["audit", "--since", "2026-11-24", "--json"];
    let outcome = run(&mut mfactl(&socket, &arguments), "");
    assert_eq!(outcome.json()[0]["sequence"], 1);
    assert_eq!(daemon.calls()[1], "Audit since Some(1795478400)");
}

#[test]
fn following_shows_each_new_record_once_until_it_is_interrupted() {
    let daemon = MockDaemon::start(State {
        records: vec![(1, 1_795_511_564, RECORD.into())],
        ..State::default()
    });
    let mut child = mfactl(&daemon.bus.socket(), &["audit", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["sequence"], 1);
    let record = (2, 1_795_511_570, RECORD.into());
    daemon.state.lock().unwrap().records.push(record);
    assert_eq!(next()["sequence"], 2);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let daemon = MockDaemon::start(State {
        records: (1..20_000)
            .map(|number| (number, 0, RECORD.into()))
            .collect(),
        ..State::default()
    });
    let mut child = mfactl(&daemon.bus.socket(), &["audit", "--limit", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn the_doctor_passes_on_what_the_daemon_says_or_asks_for_root() {
    let daemon = MockDaemon::start(State::with_a_problem());
    let root = tempfile::tempdir().unwrap();
    let arguments = ["doctor", "--json", "--root", root.path().to_str().unwrap()];
    let outcome = run(&mut mfactl(&daemon.bus.socket(), &arguments), "");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    if !geteuid().is_root() {
        assert_eq!(outcome.json()[0]["error"], "needs-root");
        return;
    }
    let report = &outcome.json()[0];
    assert_eq!(report["ok"], false);
    let findings = report["findings"].as_array().unwrap();
    let problem = findings
        .iter()
        .find(|finding| finding["detail"] == "The mock has a problem. Run: mock --repair")
        .unwrap();
    assert_eq!(problem["verdict"], "fail");
}
