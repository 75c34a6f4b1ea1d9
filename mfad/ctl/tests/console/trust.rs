//! Remembered devices and one's own demands, from a script.

use mfad_protocol::DeviceInfo;

use crate::mock::{MockDaemon, PROOF, State};
use crate::program::{mfactl, run};

fn daemon() -> MockDaemon {
    let device = |id: &str, last_used| DeviceInfo {
        id: id.into(),
        label: "ssh-key SHA256:abc, service sshd".into(),
        created: 1_795_500_000,
        expires: 1_795_543_200,
        last_used,
    };
    MockDaemon::start(State {
        devices: vec![
            device("3f2a91c000000000", None),
            device("77aa000000000000\u{1b}[2J", Some(1_795_500_100)),
        ],
        users: [("bob".to_owned(), 1001)].into(),
        ..State::default()
    })
}

#[test]
fn the_list_says_what_a_device_is_and_until_when() {
    let daemon = daemon();
    let socket = daemon.bus.socket();
    let outcome = run(&mut mfactl(&socket, &["trust", "list"]), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for part in [
        "3f2a91c000000000",
        "never",
        "ssh-key SHA256:abc, service sshd",
    ] {
        assert!(outcome.out.contains(part), "{part}: {outcome:?}");
    }
    assert!(!outcome.out.contains('\u{1b}'), "{outcome:?}");
    let outcome = run(&mut mfactl(&socket, &["trust", "list", "--json"]), "");
    assert_eq!(outcome.json()[0][0]["expires"], 1_795_543_200);
    assert_eq!(outcome.json()[0][0]["last_used"], serde_json::Value::Null);
}

#[test]
fn one_or_all_are_forgotten_and_never_none_by_mistake() {
    let daemon = daemon();
    let socket = daemon.bus.socket();
    for wrong in [
        &["trust", "revoke"][..],
        &["trust", "revoke", ""],
        &["trust", "revoke", "3f2a", "--all"],
    ] {
        assert_eq!(run(&mut mfactl(&socket, wrong), "").code, 2, "{wrong:?}");
    }
    assert!(daemon.calls().is_empty());
    let one = run(&mut mfactl(&socket, &["trust", "revoke", "3f2a"]), "");
    assert_eq!((one.code, one.out.as_str()), (0, "Forgot 1 device.\n"));
    let gone = run(&mut mfactl(&socket, &["trust", "revoke", "3f2a"]), "");
    assert_eq!(gone.code, 1);
    let all = run(
        &mut mfactl(&socket, &["trust", "revoke", "--all", "--json"]),
        "",
    );
    assert_eq!(all.json()[0]["forgotten"], 1);
    assert_eq!(
        daemon.calls(),
        ["RevokeDevices 3f2a", "RevokeDevices 3f2a", "RevokeDevices"]
    );
}

#[test]
fn an_administrator_sees_and_ends_a_user_s() {
    let daemon = daemon();
    let socket = daemon.bus.socket();
    let list = run(&mut mfactl(&socket, &["user", "trust", "list", "bob"]), "");
    assert_eq!(list.code, 0, "{list:?}");
    let all = ["user", "trust", "revoke", "bob", "--all"];
    let all = run(&mut mfactl(&socket, &all), "");
    assert_eq!((all.code, all.out.as_str()), (0, "Forgot 2 devices.\n"));
    let clear = ["user", "require", "bob", "--clear"];
    assert_eq!(run(&mut mfactl(&socket, &clear), "").code, 0);
    assert_eq!(
        daemon.calls(),
        [
            "ListDevices bob",
            "RevokeDevices bob",
            "ClearRequirement bob",
            "ShowUser bob"
        ]
    );
}

#[test]
fn a_demand_is_added_to_those_before_after_a_proof() {
    let daemon = daemon();
    let socket = daemon.bus.socket();
    let none = run(&mut mfactl(&socket, &["require"]), "");
    assert_eq!(none.out, "Nothing is demanded beyond the policy.\n");
    let first = ["require", "any", "--service", "sudo"];
    let first = run(&mut mfactl(&socket, &first), &format!("{PROOF}\n"));
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.out.contains("service = [\"sudo\"]"), "{first:?}");
    let second = ["require", "totp", "--count", "1", "--json"];
    let second = run(&mut mfactl(&socket, &second), &format!("{PROOF}\n"));
    let json = second.json();
    let text = json.last().unwrap()["requirement"].as_str().unwrap();
    assert_eq!(text.matches("[[rule]]").count(), 2, "{text}");
    let wrong = run(&mut mfactl(&socket, &["require", "--clear"]), "000000\n");
    assert_eq!(wrong.code, 1);
    let cleared = run(
        &mut mfactl(&socket, &["require", "--clear"]),
        &format!("{PROOF}\n"),
    );
    assert!(
        cleared
            .out
            .ends_with("Nothing is demanded beyond the policy.\n"),
        "{cleared:?}"
    );
}

#[test]
fn a_preference_needs_no_proof() {
    let daemon = daemon();
    let socket = daemon.bus.socket();
    let totp = run(&mut mfactl(&socket, &["prefer", "totp", "--json"]), "");
    assert_eq!(totp.json()[0]["preferred"], "totp");
    assert_eq!(run(&mut mfactl(&socket, &["prefer"]), "").code, 0);
    assert_eq!(run(&mut mfactl(&socket, &["prefer", "luck"]), "").code, 2);
    assert_eq!(daemon.calls(), ["Prefer totp", "Prefer"]);
}
