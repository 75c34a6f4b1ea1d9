//! `mfactl policy shadow` as an administrator sees it.

use crate::mock::{MockDaemon, State};
use crate::program::{mfactl, run};

fn record(number: i64, user: &str, shadow: &str) -> (i64, i64, String) {
    let shadow = if shadow.is_empty() {
        String::new()
    } else {
        format!(r#","shadow":"{shadow}","shadow-rule":"strict""#)
    };
    let text =
        format!(r#"{{"event":"authentication","outcome":"granted","user":"{user}"{shadow}}}"#);
    (number, 1_795_500_000 + number, text)
}

#[test]
fn its_state_is_told() {
    let daemon = MockDaemon::start(State::default());
    let socket = daemon.bus.socket();
    let shadow = |json: &[&str]| {
        run(
            &mut mfactl(&socket, &[&["policy", "shadow"], json].concat()),
            "",
        )
    };
    let none = shadow(&[]);
    assert_eq!(none.code, 0);
    assert!(
        none.out.starts_with("Nothing is in the shadow."),
        "{none:?}"
    );
    daemon.state.lock().unwrap().shadow_rules = Some(7);
    let evaluated = shadow(&[]);
    assert!(
        evaluated.out.contains("decides nothing. Rules: 7."),
        "{evaluated:?}"
    );
    assert_eq!(shadow(&["--json"]).json()[0]["rules"], 7);
    {
        let mut state = daemon.state.lock().unwrap();
        state.shadow_rules = None;
        state.shadow_problems = Some(vec!["/etc/mfa/shadow.toml:1:1: broken \u{1b}[2J".into()]);
    }
    let broken = shadow(&[]);
    assert_eq!(broken.code, 1);
    assert!(broken.out.contains("shadow.toml:1:1: broken"), "{broken:?}");
    assert!(
        broken.out.contains("Logins are not affected."),
        "{broken:?}"
    );
    assert!(!broken.out.contains('\u{1b}'));
}

#[test]
fn the_report_goes_back_through_more_than_one_page() {
    let mut records: Vec<_> = (1..=2500)
        .map(|number| record(number, "alice", ""))
        .collect();
    for changed in &mut records {
        if [1, 1000, 1500, 1501, 2500].contains(&changed.0) {
            *changed = record(changed.0, "bob", "deny");
        }
    }
    let daemon = MockDaemon::start(State {
        records,
        ..State::default()
    });
    let socket = daemon.bus.socket();
    let report = ["policy", "shadow", "report", "--json"];
    let outcome = run(&mut mfactl(&socket, &report), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let value = &outcome.json()[0];
    assert_eq!(value["logins"], 2500);
    assert_eq!(value["changes"]["deny"], 5);
    assert_eq!(value["users"][0]["user"], "bob");
    assert_eq!(value["rules"][0]["rule"], "“strict”");
    assert_eq!(value["complete"], true);
}
