//! The policy in the shadow: as strict as the one in force, and nothing to it.

use std::os::unix::fs::symlink;

use super::{Host, rule};
use crate::config::{Shadow, load};

impl Host {
    /// The shadow as a load finds it, while the policy in force is sound.
    fn shadow(&self) -> Option<Shadow> {
        let (loaded, _) = load(&self.paths).unwrap();
        assert_eq!(
            loaded.policy.rules(),
            1,
            "the policy in force is what it was"
        );
        loaded.shadow
    }

    fn broken(&self) -> String {
        let shadow = self.shadow().unwrap();
        assert!(shadow.policy().is_none());
        let [only] = shadow.problems() else {
            panic!("{shadow:?}");
        };
        only.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

#[test]
fn a_shadow_is_a_whole_policy_without_the_vendors_or_any_drop_in() {
    let host = Host::new();
    host.write(
        "usr/lib/mfa/policy.toml",
        "[unenrolled]\naction = \"allow\"\n",
    );
    host.write("etc/mfa/policy.d/1.toml", rule("in force"));
    assert!(host.shadow().is_none());
    host.write("etc/mfa/shadow.toml", rule("a") + &rule("b"));
    let shadow = host.shadow().unwrap();
    let policy = shadow.policy().unwrap();
    assert_eq!(policy.rules(), 2);
    assert_eq!(policy.unenrolled().action, policy::UnenrolledAction::Deny);
    assert!(shadow.problems().is_empty());
}

#[test]
fn a_broken_shadow_is_named_by_place_and_keeps_nothing_from_being_loaded() {
    let host = Host::new();
    host.write("etc/mfa/policy.toml", rule("in force"));
    host.write(
        "etc/mfa/shadow.toml",
        "[[rule]]\nnmae = 1\nname = \"a\"\nwhen = {}\nrequire = \"any\"\n",
    );
    assert!(
        host.broken()
            .starts_with("etc/mfa/shadow.toml:2:1: unknown key `nmae`")
    );
    host.write("etc/mfa/shadow.toml", [0xff]);
    assert!(host.broken().ends_with("save the file as UTF-8"));
    host.write("etc/mfa/shadow.toml", rule("a"));
    host.chmod("etc/mfa/shadow.toml", 0o666);
    assert!(
        host.broken()
            .starts_with("etc/mfa/shadow.toml: can be written by others")
    );
    std::fs::remove_file(host.at("etc/mfa/shadow.toml")).unwrap();
    symlink("policy.toml", host.at("etc/mfa/shadow.toml")).unwrap();
    assert!(
        host.broken()
            .starts_with("etc/mfa/shadow.toml: is a symbolic link")
    );
}
