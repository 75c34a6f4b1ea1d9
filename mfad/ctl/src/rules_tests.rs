//! Policy files as an administrator may have left them.

use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

const GOOD: &str =
    "[[rule]]\nname = \"office\"\nwhen = { service = \"sshd\" }\nrequire = \"none\"\n";

fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for directory in ["etc/mfa/policy.d", "usr/lib/mfa"] {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    for (path, text) in files {
        let path = root.path().join(path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    root
}

/// The report's text with the tree's own path taken out.
fn report(root: &TempDir) -> String {
    let prefix = root.path().display().to_string();
    text(&installed(root.path()), 0).replace(&prefix, "")
}

#[test]
fn no_file_at_all_is_no_mistake_and_says_what_holds_then() {
    insta::assert_snapshot!(report(&tree(&[])), @"There is no policy file: any enrolled factor is required, and whoever has none is refused.");
}

#[test]
fn all_files_are_read_in_the_order_in_which_they_count() {
    let root = tree(&[
        ("etc/mfa/policy.toml", GOOD),
        ("etc/mfa/policy.d/20-b.toml", ""),
        ("etc/mfa/policy.d/10-a.toml", ""),
        ("etc/mfa/policy.d/notes.txt", "not [ toml"),
        ("etc/mfa/policy.d/.10-a.toml", "not [ toml"),
        ("etc/mfa/policy.d/10-a.toml~", "not [ toml"),
        ("usr/lib/mfa/policy.toml", ""),
    ]);
    let names: Vec<String> = installed_paths(root.path())
        .unwrap()
        .iter()
        .map(|path| {
            path.strip_prefix(root.path())
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    assert_eq!(
        names,
        [
            "etc/mfa/policy.toml",
            "etc/mfa/policy.d/10-a.toml",
            "etc/mfa/policy.d/20-b.toml",
            "usr/lib/mfa/policy.toml",
        ]
    );
    insta::assert_snapshot!(report(&root), @"No mistakes. Files: 4, rules: 1.");
}

#[test]
fn a_mistake_comes_with_its_place() {
    let broken = GOOD.replace("require", "reqiure");
    let root = tree(&[("etc/mfa/policy.toml", broken.as_str())]);
    // The words are the policy crate's; the places and the frame are ours.
    let text = report(&root);
    assert!(text.contains("/etc/mfa/policy.toml:4:1: "), "{text}");
    assert!(
        text.contains("    4 | reqiure = \"none\"\n      | ^^^^^^^\n"),
        "{text}"
    );
    assert!(text.ends_with("A daemon that runs keeps the policy that it has.\n"));
    let found = installed(root.path());
    assert_eq!(found.rules, 0);
    assert!(
        found
            .mistakes
            .iter()
            .all(|mistake| mistake.json["line"].is_u64())
    );
}

#[test]
fn a_file_that_others_may_write_is_a_mistake() {
    let root = tree(&[("etc/mfa/policy.toml", GOOD)]);
    let path = root.path().join("etc/mfa/policy.toml");
    fs::set_permissions(path, fs::Permissions::from_mode(0o664)).unwrap();
    insta::assert_snapshot!(report(&root), @r#"
    /etc/mfa/policy.toml: can be written by others (mode 0664); run `chmod go-w` on it
    1 mistake. A daemon that runs keeps the policy that it has.
    "#);
}

#[test]
fn a_file_of_somebody_else_is_a_mistake() {
    let root = tree(&[("etc/mfa/policy.toml", GOOD)]);
    let path = root.path().join("etc/mfa/policy.toml");
    let owner = fs::metadata(&path).unwrap().uid();
    assert!(read(&path, Some(owner)).is_ok());
    let mistake = read(&path, Some(owner + 1)).unwrap_err();
    assert!(mistake.line.contains("not to root"), "{}", mistake.line);
}

#[test]
fn links_and_things_that_are_no_files_are_mistakes() {
    let root = tree(&[("elsewhere", GOOD)]);
    symlink(
        root.path().join("elsewhere"),
        root.path().join("etc/mfa/policy.toml"),
    )
    .unwrap();
    fs::create_dir(root.path().join("etc/mfa/policy.d/10-directory.toml")).unwrap();
    insta::assert_snapshot!(report(&root), @r#"
    /etc/mfa/policy.toml: is a symbolic link; put the file itself here
    /etc/mfa/policy.d/10-directory.toml: is not a plain file
    2 mistakes. A daemon that runs keeps the policy that it has.
    "#);
}

#[test]
fn a_draft_may_belong_to_anybody() {
    let root = tree(&[("draft.toml", GOOD)]);
    let path = root.path().join("draft.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(examine(vec![read(&path, None)]).mistakes.is_empty());
    assert_eq!(
        examine(vec![read(&root.path().join("none"), None)])
            .mistakes
            .len(),
        1
    );
}

#[test]
fn bytes_that_are_no_text_are_a_mistake() {
    let root = tree(&[]);
    fs::write(root.path().join("etc/mfa/policy.toml"), [0xff, 0xfe]).unwrap();
    assert_eq!(installed(root.path()).mistakes.len(), 1);
}

#[test]
fn time_zones_are_those_of_this_machine() {
    let window = |zone: &str| {
        let when = format!("time = \"Mon..Fri 08:00-18:00 {zone}\"");
        let text = GOOD.replace("service = \"sshd\"", &when);
        report(&tree(&[("etc/mfa/policy.toml", &text)]))
    };
    insta::assert_snapshot!(window("Europe/Zurich"), @"No mistakes. Files: 1, rules: 1.");
    for zone in ["Europe/Zurch", "Local"] {
        let found = window(zone);
        assert!(found.contains("there is no time zone"), "{zone}: {found}");
    }
}
