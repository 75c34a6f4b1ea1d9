//! `policy test`: needs no daemon, and its exit code tells what came of it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::program::{Outcome, mfactl, run};

const POLICY: &str = r#"
[[rule]]
name    = "office"
when    = { service = "sshd", network = "10.20.0.0/16" }
require = "none"

[[rule]]
name    = "root, always"
when    = { user = "root", not = { country = "CH" } }
require = { count = 2 }
floor   = true
"#;

/// A tree to be the root directory, with these files in it.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// Runs it in that tree, with no bus to be found.
fn policy_test(root: &TempDir, arguments: &[&str]) -> Outcome {
    let mut command = mfactl(Path::new("/nonexistent"), &["policy", "test"]);
    command
        .arg("--root")
        .arg(root.path())
        .current_dir(root.path());
    run(command.args(arguments), "")
}

const EXPECTED: &str = r#"
[[expect]]
name     = "alice in the office"
user     = "alice"
service  = "sshd"
rhost    = "10.20.7.1"
decision = "none"

[[expect]]
name     = "root in the office"
user     = "root"
service  = "sshd"
rhost    = "10.20.7.1"
decision = "none"
rule     = "office"
"#;

#[test]
fn an_expectation_that_fails_is_told_with_the_reasons() {
    let root = tree(&[("etc/mfa/policy.toml", POLICY), ("e.toml", EXPECTED)]);
    let outcome = policy_test(&root, &["e.toml"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (1, ""));
    let out = outcome.out.replace(&root.path().display().to_string(), "");
    insta::assert_snapshot!(out, @r#"
    e.toml:9: “root in the office”
      expected "none", and it is { count = 2 }
      expected the rule "office" to decide, and "root, always" does
    Why:
      1. The first rule that matches is "office": "none"
      2. The floor "root, always" may match (country: not known), so it holds: { count = 2 }
      rule “office” (/etc/mfa/policy.toml:2): decides
          require = "none"
          yes      service = ["sshd"]; here: sshd
          yes      network = ["10.20.0.0/16"]; here: 10.20.7.1
      floor “root, always” (/etc/mfa/policy.toml:7): may match, and so tightens
          require = { count = 2 }
          yes      user = ["root"]; here: root
          unknown  not = { country = ["CH"] }
            unknown  country = ["CH"]; here: not known

    As expected: 1, not: 1.
    "#);
    let outcome = policy_test(&root, &["e.toml", "--json"]);
    let [report] = &outcome.json()[..] else {
        panic!("{outcome:?}")
    };
    assert_eq!((report["ok"].as_bool(), outcome.code), (Some(false), 1));
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(report["expectations"][0]["decision"]["rule"], "office");
    let root = &report["expectations"][1];
    assert_eq!(root["decision"]["unknown"][0], "country");
    assert_eq!(root["reasons"]["rules"][1]["effect"], "tightened-undecided");
}

#[test]
fn a_candidate_is_tried_in_place_of_what_is_installed() {
    let open = "[[rule]]\nname = \"office\"\nwhen = {}\nrequire = \"none\"\n";
    let drop_in = "[[rule]]\nname = \"late\"\nwhen = {}\nrequire = \"none\"\n";
    let root = tree(&[
        ("etc/mfa/policy.toml", POLICY),
        (
            "usr/lib/mfa/policy.toml",
            "[unenrolled]\naction = \"allow\"\n",
        ),
        ("e.toml", EXPECTED),
        ("open.toml", open),
        ("candidate/policy.d/10-late.toml", drop_in),
        (
            "vendor.toml",
            "[[expect]]\nname = \"v\"\nuser = \"u\"\nservice = \"s\"\ndecision = \"none\"\nrule = \"late\"\nunenrolled = \"allow\"\n",
        ),
    ]);
    let outcome = policy_test(&root, &["e.toml", "--policy", "open.toml"]);
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (0, "As expected: 2, not: 0.\n")
    );
    // A directory stands for /etc/mfa, and the vendor's defaults come after it.
    let outcome = policy_test(&root, &["vendor.toml", "--policy", "candidate"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    // A file is all of the policy.
    let outcome = policy_test(
        &root,
        &["vendor.toml", "--policy", "candidate/policy.d/10-late.toml"],
    );
    assert_eq!(outcome.code, 1, "{outcome:?}");
}

#[test]
fn where_a_file_has_mistakes_nothing_is_tried() {
    let root = tree(&[
        (
            "etc/mfa/policy.toml",
            "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"anny\"\n",
        ),
        (
            "e.toml",
            "[[expect]]\nname = \"a\"\nuser = \"u\"\nservice = \"s\"\ndecision = \"denny\"\n",
        ),
    ]);
    let outcome = policy_test(&root, &["e.toml"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (2, ""));
    for place in [
        "e.toml:5:12: `decision` cannot be",
        "/etc/mfa/policy.toml:4:11: `require` cannot be",
    ] {
        assert!(outcome.out.contains(place), "{}", outcome.out);
    }
    assert!(
        outcome.out.ends_with("Nothing was tried.\n"),
        "{}",
        outcome.out
    );
    let outcome = policy_test(&root, &["missing.toml", "--json"]);
    assert_eq!(
        (outcome.code, outcome.json()[0]["ok"].as_bool()),
        (2, Some(false))
    );
    assert_eq!(policy_test(&root, &[]).code, 2);
}

/// The examples that the package ships go together, as they are and with what is commented out.
#[test]
fn the_shipped_expectations_hold_for_the_shipped_policy() {
    let shipped = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/policy");
        fs::read_to_string(path.join(name)).unwrap()
    };
    let (policy, expected, vendor) = (
        shipped("policy.toml"),
        shipped("expect.toml"),
        shipped("vendor.toml"),
    );
    let in_full = |text: &str| text.replace("#| ", "");
    for (policy, expected, count) in [
        (policy.clone(), expected.clone(), 1),
        (in_full(&policy), in_full(&expected), 5),
    ] {
        let root = tree(&[
            ("etc/mfa/policy.toml", &policy),
            ("usr/lib/mfa/policy.toml", &vendor),
            ("e.toml", &expected),
        ]);
        let outcome = policy_test(&root, &["e.toml"]);
        assert_eq!(outcome.out, format!("As expected: {count}, not: 0.\n"));
    }
}
