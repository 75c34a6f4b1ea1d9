//! The console with a person at a terminal: questions, hidden input, Ctrl-C, QR codes.

use crate::mock::{FIRST_CODE, MockDaemon, PROOF, State};
use crate::program::mfactl;
use crate::pty::Pty;

fn start(daemon: &MockDaemon, arguments: &[&str], environment: &[(&str, &str)]) -> Pty {
    let mut command = mfactl(&daemon.bus.socket(), arguments);
    command.envs(environment.iter().copied());
    Pty::start(command)
}

#[test]
fn a_qr_code_is_black_on_white_and_the_code_is_asked_for() {
    let daemon = MockDaemon::start(State::default());
    let mut terminal = start(&daemon, &["enroll", "totp"], &[("TERM", "xterm-256color")]);
    terminal.expect("Type the code that it shows now: ");
    assert!(terminal.shown().contains("\x1b[38;5;16;48;5;231m"));
    assert!(terminal.shown().contains("JBSW Y3DP"));
    terminal.type_in("000000\n");
    terminal.expect("Tries left: 2");
    terminal.type_in(&format!("{FIRST_CODE}\n"));
    assert_eq!(terminal.end(), 0);
    terminal.expect("Stored “totp”.");
    assert_eq!(daemon.factor_names(), ["totp"]);
}

#[test]
fn no_color_draws_blocks_without_escapes() {
    let daemon = MockDaemon::start(State::default());
    let environment = [("TERM", "xterm-256color"), ("NO_COLOR", "1")];
    let mut terminal = start(&daemon, &["enroll", "totp"], &environment);
    terminal.expect("Type the code that it shows now: ");
    assert!(!terminal.shown().contains('\x1b'));
    assert!(terminal.shown().contains("█████████"));
    terminal.type_in(&format!("{FIRST_CODE}\n"));
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_terminal_without_utf_8_gets_ascii_only() {
    let daemon = MockDaemon::start(State::default());
    let environment = [("LC_ALL", "C"), ("TERM", "vt100")];
    let mut terminal = start(&daemon, &["enroll", "totp"], &environment);
    terminal.expect("Type the code that it shows now: ");
    terminal.type_in(&format!("{FIRST_CODE}\n"));
    assert_eq!(terminal.end(), 0);
    terminal.expect("Stored 'totp'.");
    assert!(terminal.shown().is_ascii(), "{}", terminal.shown());
    assert!(
        terminal.shown().contains("\x1b[0;30;47m"),
        "the QR code is drawn"
    );
}

#[test]
fn ctrl_c_at_the_code_stores_nothing_and_withdraws_the_offer() {
    let daemon = MockDaemon::start(State::default());
    let mut terminal = start(&daemon, &["enroll", "totp", "--text"], &[]);
    terminal.expect("Type the code that it shows now: ");
    terminal.type_in("\x03");
    assert_eq!(terminal.end(), 130);
    terminal.expect("nothing was stored");
    assert_eq!(daemon.calls(), ["Begin totp", "Cancel offer-1"]);
}

#[test]
fn a_hidden_answer_is_not_shown_and_the_echo_comes_back() {
    let daemon = MockDaemon::start(State::default());
    let mut terminal = start(&daemon, &["test"], &[]);
    terminal.expect("Verification code: ");
    terminal.expect_echo(false);
    terminal.type_in(&format!("{PROOF}\n"));
    assert_eq!(terminal.end(), 0);
    assert!(!terminal.shown().contains(PROOF), "{}", terminal.shown());
    terminal.expect_echo(true);
}

#[test]
fn ctrl_c_at_a_hidden_answer_brings_the_echo_back_and_ends_the_dialogue() {
    let daemon = MockDaemon::start(State::default());
    let mut terminal = start(&daemon, &["test"], &[]);
    terminal.expect("Verification code: ");
    terminal.expect_echo(false);
    terminal.type_in("\x03");
    assert_eq!(terminal.end(), 130);
    terminal.expect_echo(true);
    assert_eq!(daemon.calls(), ["Dialogue mfactl", "Cancel dialogue-1"]);
}

#[test]
fn new_backup_codes_warn_of_the_old_ones_and_count_only_when_kept() {
    let daemon = MockDaemon::start(State::default());
    let mut terminal = start(&daemon, &["codes"], &[]);
    terminal.expect("Have you kept them? [y/N] ");
    assert!(terminal.shown().contains("10. JJJJ JJJJ JJJJ JJJJ"));
    terminal.type_in("\n");
    assert_eq!(terminal.end(), 1);
    assert!(daemon.factor_names().is_empty());
    assert_eq!(daemon.calls().last().unwrap(), "Cancel offer-1");

    let mut terminal = start(&daemon, &["codes"], &[]);
    terminal.expect("Have you kept them? [y/N] ");
    terminal.type_in("y\n");
    assert_eq!(terminal.end(), 0);
    assert_eq!(daemon.factor_names(), ["backup-codes"]);

    let mut terminal = start(&daemon, &["codes"], &[]);
    terminal.expect("older backup codes (10 left) stop working");
    terminal.type_in("n\n");
    assert_eq!(terminal.end(), 1);
    assert_eq!(daemon.calls().last().unwrap(), "Status");
}

#[test]
fn a_removal_asks_and_only_yes_counts() {
    let daemon = MockDaemon::with_phone();
    for answer in ["\n", "n\n", "maybe\n"] {
        let mut terminal = start(&daemon, &["remove", "phone"], &[]);
        terminal.expect("Remove your factor “phone”?");
        terminal.type_in(answer);
        assert_eq!(terminal.end(), 1);
    }
    assert!(daemon.calls().is_empty());
    let mut terminal = start(&daemon, &["remove", "phone"], &[]);
    terminal.expect("[y/N] ");
    terminal.type_in("yes\n");
    terminal.expect("Verification code: ");
    terminal.expect_echo(false);
    terminal.type_in(&format!("{PROOF}\n"));
    assert_eq!(terminal.end(), 0);
    assert!(daemon.factor_names().is_empty());
}
