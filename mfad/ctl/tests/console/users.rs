//! A user's own factors, from a script.

use crate::mock::{FIRST_CODE, MockBus, MockDaemon, PROOF, SECRET, State};
use crate::program::{mfactl, run};

#[test]
fn status_tells_a_newcomer_what_to_do() {
    let daemon = MockDaemon::start(State::default());
    let outcome = run(&mut mfactl(&daemon.bus.socket(), &["status"]), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    insta::assert_snapshot!(outcome.out, @r#"
    alice (uid 1000) has no second factor.
    Add one with: mfactl enroll totp
    "#);
}

#[test]
fn status_tells_an_administrator_and_nobody_else_what_is_wrong_with_the_daemon() {
    let daemon = MockDaemon::start(State::with_a_problem());
    let outcome = run(&mut mfactl(&daemon.bus.socket(), &["status"]), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let told = outcome.out.contains("mock --repair");
    assert_eq!(told, nix::unistd::geteuid().is_root(), "{outcome:?}");
}

#[test]
fn status_as_json_has_the_same_facts() {
    let daemon = MockDaemon::with_phone();
    let outcome = run(&mut mfactl(&daemon.bus.socket(), &["status", "--json"]), "");
    let status = &outcome.json()[0];
    assert_eq!(status["user"], "alice");
    assert_eq!(status["enrolled"], true);
    assert_eq!(status["credentials"][0]["name"], "phone");
    assert!(!outcome.out.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn a_first_factor_is_stored_after_a_right_code_only() {
    let daemon = MockDaemon::start(State::default());
    let arguments = ["enroll", "totp", "--name", "phone", "--json"];
    let mut command = mfactl(&daemon.bus.socket(), &arguments);
    let outcome = run(&mut command, &format!("000000\n{FIRST_CODE}\n"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let lines = outcome.json();
    assert_eq!(lines[0]["secret"], SECRET);
    assert_eq!(lines[1]["name"], "phone");
    assert_eq!(
        daemon.calls(),
        [
            "Begin totp",
            "Confirm offer-1 000000",
            "Confirm offer-1 123456"
        ]
    );
}

#[test]
fn three_wrong_codes_store_nothing_and_say_to_check_the_clock() {
    let daemon = MockDaemon::start(State::default());
    let mut command = mfactl(&daemon.bus.socket(), &["enroll", "totp", "--text"]);
    let outcome = run(&mut command, "1\n2\n3\n123456\n");
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("Tries left: 1"), "{outcome:?}");
    assert!(outcome.err.contains("timedatectl"));
    assert!(daemon.factor_names().is_empty());
    assert_eq!(daemon.calls().last().unwrap(), "Cancel offer-1");
}

#[test]
fn an_input_that_ends_before_the_code_stores_nothing() {
    let daemon = MockDaemon::start(State::default());
    let mut command = mfactl(&daemon.bus.socket(), &["enroll", "hotp", "--text"]);
    assert_eq!(run(&mut command, "").code, 1);
    assert_eq!(daemon.calls(), ["Begin hotp", "Cancel offer-1"]);
}

#[test]
fn a_second_factor_needs_a_proof_of_the_first() {
    let daemon = MockDaemon::with_phone();
    let arguments = ["enroll", "totp", "--name", "tablet", "--text"];
    let mut command = mfactl(&daemon.bus.socket(), &arguments);
    let outcome = run(&mut command, &format!("{PROOF}\n{FIRST_CODE}\n"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(daemon.factor_names(), ["phone", "tablet"]);
    assert_eq!(
        daemon.calls(),
        [
            "Begin totp",
            "Dialogue mfactl",
            "Respond",
            "Begin totp grant",
            "Confirm offer-1 123456"
        ]
    );
}

#[test]
fn a_wrong_proof_changes_nothing() {
    let daemon = MockDaemon::with_phone();
    let socket = daemon.bus.socket();
    let outcome = run(
        &mut mfactl(&socket, &["enroll", "totp"]),
        "111111\n123456\n",
    );
    assert_eq!(outcome.code, 1);
    let outcome = run(
        &mut mfactl(&socket, &["remove", "phone", "--yes"]),
        "111111\n",
    );
    assert_eq!(outcome.code, 1);
    assert_eq!(daemon.factor_names(), ["phone"]);
}

#[test]
fn without_a_terminal_nothing_is_destroyed_unless_it_says_yes() {
    let daemon = MockDaemon::with_phone();
    let socket = daemon.bus.socket();
    for arguments in [
        &["remove", "phone"][..],
        &["codes"],
        &["enroll", "backup-codes"],
    ] {
        let outcome = run(&mut mfactl(&socket, arguments), "y\n");
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
        assert!(outcome.err.contains("--yes"));
    }
    assert!(daemon.calls().is_empty(), "{:?}", daemon.calls());

    let mut command = mfactl(&socket, &["remove", "phone", "--yes"]);
    let outcome = run(&mut command, &format!("{PROOF}\n"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(daemon.factor_names().is_empty());
}

#[test]
fn backup_codes_for_a_script_come_once_and_are_confirmed() {
    let daemon = MockDaemon::start(State::default());
    let outcome = run(
        &mut mfactl(&daemon.bus.socket(), &["codes", "--yes", "--json"]),
        "",
    );
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.json()[0]["codes"].as_array().unwrap().len(), 10);
    assert_eq!(outcome.json()[1]["left"], 10);
    assert_eq!(
        daemon.calls(),
        ["Status", "Begin backup-codes", "Confirm offer-1"]
    );
}

#[test]
fn a_factor_is_renamed_and_a_missing_one_is_not() {
    let daemon = MockDaemon::with_phone();
    let socket = daemon.bus.socket();
    assert_eq!(
        run(&mut mfactl(&socket, &["rename", "phone", "old"]), "").code,
        0
    );
    assert_eq!(daemon.factor_names(), ["old"]);
    let outcome = run(
        &mut mfactl(&socket, &["rename", "phone", "x", "--json"]),
        "",
    );
    assert_eq!(outcome.code, 1);
    insta::assert_snapshot!(outcome.out, @r#"{"error":"not-found","message":"You have no such factor. See `mfactl status`.","next":null}"#);
}

#[test]
fn a_test_says_what_the_login_would_have_done() {
    let daemon = MockDaemon::start(State {
        open_service: Some("cron".into()),
        ..State::default()
    });
    let socket = daemon.bus.socket();
    let run = |service: &str, answer: &str| {
        run(
            &mut mfactl(&socket, &["test", "--service", service]),
            &format!("{answer}\n"),
        )
    };
    let granted = run("sudo", PROOF);
    assert_eq!(granted.code, 0);
    insta::assert_snapshot!(granted.out, @"Right: “sudo” would have let you in. A code that you typed is used up; wait for the next one.");
    let denied = run("sudo", "1");
    assert_eq!(denied.code, 1);
    insta::assert_snapshot!(denied.err, @r#"
    Codes of the mock.
    Verification code: 
    mfactl: Refused: “sudo” would not have let you in. Is the clock right (`timedatectl`), and the code a new one? `mfactl status` shows failures and delays.
    "#);
    let open = run("cron", "");
    assert_eq!(open.code, 0);
    insta::assert_snapshot!(open.out, @"“cron” would have asked you for no second factor: the policy does not want one here.");
}

#[test]
fn a_daemon_that_is_not_there_is_exit_code_3_with_the_next_command() {
    let bus = MockBus::start();
    for socket in [bus.socket(), bus.directory().join("nothing-here")] {
        let outcome = run(&mut mfactl(&socket, &["status"]), "");
        assert_eq!(outcome.code, 3, "{outcome:?}");
        assert!(outcome.err.contains("systemctl status mfad.socket mfad"));
        assert!(outcome.err.contains("journalctl -u mfad"));
        let outcome = run(&mut mfactl(&socket, &["status", "--json"]), "");
        assert_eq!(outcome.code, 3);
        assert_eq!(outcome.json()[0]["error"], "unreachable");
    }
}

#[test]
fn the_environment_cannot_move_the_bus() {
    let daemon = MockDaemon::with_phone();
    let address = format!("unix:path={}", daemon.bus.socket().display());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mfactl"));
    command
        .env_clear()
        .env("DBUS_SYSTEM_BUS_ADDRESS", &address)
        .env("DBUS_SESSION_BUS_ADDRESS", &address)
        .arg("status");
    run(&mut command, "");
    assert!(daemon.calls().is_empty());
}

#[test]
fn an_error_of_the_daemon_cannot_move_the_cursor() {
    let daemon = MockDaemon::start(State {
        hostile_error: Some("gone\u{1b}[2J\r\u{202e}".into()),
        ..State::default()
    });
    let outcome = run(&mut mfactl(&daemon.bus.socket(), &["status"]), "");
    assert_eq!(outcome.code, 1);
    assert!(
        !outcome.err.contains(['\u{1b}', '\r', '\u{202e}']),
        "{outcome:?}"
    );
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_help_is_not() {
    let nowhere = std::path::Path::new("/nonexistent");
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["enroll", "fax"],
        &["enroll", "hotp", "--period", "30"],
        &["audit", "--since", "yesterday"],
    ] {
        let outcome = run(&mut mfactl(nowhere, arguments), "");
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
    }
    let help = run(&mut mfactl(nowhere, &["enroll", "--help"]), "");
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Examples:"));
}
