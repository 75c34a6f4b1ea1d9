//! What is kept of a configuration, and what is made of it.

use std::fs;

use super::{Host, rule};
use crate::config::{LastGood, load};

impl Host {
    fn with_state() -> Self {
        let host = Self::new();
        fs::create_dir_all(&host.paths.state_dir).unwrap();
        for part in ["var", "var/lib"] {
            host.chmod(part, 0o755);
        }
        host.chmod("var/lib/mfa", 0o700);
        host
    }

    fn keep(&self) {
        let (_, texts) = load(&self.paths).unwrap();
        LastGood::of(&self.paths).keep(&texts).unwrap();
    }

    fn kept(&self) -> Option<String> {
        let kept = LastGood::of(&self.paths).load()?;
        let prompt = &kept.settings.prompt.text;
        Some(format!("{prompt}\n{}", kept.policy))
    }
}

#[test]
fn what_was_kept_is_what_was_in_force() {
    let host = Host::with_state();
    assert_eq!(host.kept(), None);
    host.write("etc/mfa/mfad.toml", "[prompt]\ntext = \"Code: \"\n");
    host.write("etc/mfa/policy.toml", rule("one"));
    host.write("etc/mfa/policy.d/2.toml", rule("two"));
    host.write("usr/lib/mfa/policy.toml", rule("three"));
    host.keep();
    let (loaded, _) = load(&host.paths).unwrap();
    host.write("etc/mfa/policy.toml", "broken");
    host.write("etc/mfa/mfad.toml", "broken");
    assert!(load(&host.paths).is_err());
    assert_eq!(
        host.kept(),
        Some(format!("Code: \n{}", loaded.policy)),
        "with its drop-in, the vendor's rules and the settings"
    );
}

#[test]
fn a_newer_one_takes_its_place_and_the_same_is_not_written_again() {
    let host = Host::with_state();
    host.write("etc/mfa/policy.toml", rule("one"));
    host.keep();
    let file = host.at("var/lib/mfa/last-good.json");
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    host.keep();
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written);
    // As a daemon leaves it that was killed while it wrote.
    host.write("var/lib/mfa/last-good.new", "{");
    host.write("etc/mfa/policy.toml", rule("two"));
    host.keep();
    assert!(host.kept().unwrap().contains("\"two\""));
}

#[test]
fn what_others_could_have_written_or_cut_is_not_used() {
    let host = Host::with_state();
    host.write("etc/mfa/policy.toml", rule("one"));
    host.keep();
    host.chmod("var/lib/mfa/last-good.json", 0o620);
    assert_eq!(host.kept(), None);
    host.chmod("var/lib/mfa/last-good.json", 0o600);
    assert!(host.kept().is_some());
    let whole = fs::read(host.at("var/lib/mfa/last-good.json")).unwrap();
    for length in 0..whole.len() {
        fs::write(host.at("var/lib/mfa/last-good.json"), &whole[..length]).unwrap();
        assert_eq!(host.kept(), None, "{length}");
    }
}
