//! Files as administrators leave them, good and bad, in a directory of the test's own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::PathBuf,
};

use nix::{
    sys::stat::Mode,
    unistd::{Uid, mkfifo},
};
use policy::UnenrolledAction;
use tempfile::TempDir;

use super::{Paths, load};

mod last_good;
mod secrets;
mod shadow;

/// A root directory with the configuration's directories in it.
struct Host {
    directory: TempDir,
    paths: Paths,
}

impl Host {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let paths = Paths::under(directory.path());
        for part in [&paths.config_dir.join("policy.d"), &paths.vendor_dir] {
            fs::create_dir_all(part).unwrap();
        }
        let host = Self { directory, paths };
        for part in [
            "etc",
            "etc/mfa",
            "etc/mfa/policy.d",
            "usr",
            "usr/lib",
            "usr/lib/mfa",
        ] {
            host.chmod(part, 0o755);
        }
        host
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.at(path);
        fs::write(&file, content).unwrap();
        self.chmod(path, 0o644);
        file
    }

    fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What is wrong, with the root directory's path cut out.
    fn errors(&self) -> Vec<String> {
        let root = format!("{}/", self.directory.path().display());
        let errors = load(&self.paths).expect_err("the configuration was accepted");
        errors
            .lines()
            .iter()
            .map(|line| line.replace(&root, ""))
            .collect()
    }

    /// Checks that there is one error, which begins and ends as given.
    fn refused(&self, begin: &str, end: &str) {
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(
            errors[0].starts_with(begin) && errors[0].ends_with(end),
            "{errors:#?}"
        );
    }
}

const RULE: &str = "[[rule]]\nname = \"NAME\"\nwhen = {}\nrequire = \"any\"\n";

fn rule(name: &str) -> String {
    RULE.replace("NAME", name)
}

#[test]
fn without_any_file_there_are_defaults_that_let_nobody_unenrolled_in() {
    let directory = TempDir::new().unwrap();
    let (loaded, _) = load(&Paths::under(directory.path())).unwrap();
    assert_eq!(loaded.policy.rules(), 0);
    assert_eq!(loaded.policy.unenrolled().action, UnenrolledAction::Deny);
    assert_eq!(loaded.settings.prompt.text, "Verification code: ");
}

#[test]
fn what_is_shipped_loads_with_the_vendors_defaults_last() {
    let host = Host::new();
    host.write(
        "usr/lib/mfa/policy.toml",
        include_str!("../../../packaging/policy/vendor.toml"),
    );
    host.write(
        "etc/mfa/policy.toml",
        include_str!("../../../packaging/policy/policy.toml"),
    );
    assert_eq!(
        load(&host.paths).unwrap().0.policy.unenrolled().action,
        UnenrolledAction::Allow
    );
    host.write(
        "etc/mfa/policy.d/50-closed.toml",
        "[unenrolled]\naction = \"deny\"\n",
    );
    assert_eq!(
        load(&host.paths).unwrap().0.policy.unenrolled().action,
        UnenrolledAction::Deny
    );
}

#[test]
fn drop_ins_are_read_in_the_order_of_their_names_and_leftovers_are_not() {
    let host = Host::new();
    host.write("etc/mfa/policy.d/20-b.toml", rule("b"));
    host.write("etc/mfa/policy.d/10-a.toml", rule("a"));
    host.write("usr/lib/mfa/policy.toml", rule("vendor"));
    host.write("etc/mfa/policy.toml", rule("first"));
    for leftover in [
        "x.toml~",
        "x.toml.dpkg-old",
        ".x.toml",
        "#x.toml#",
        "README",
        "toml",
    ] {
        host.write(&format!("etc/mfa/policy.d/{leftover}"), "not TOML at all");
    }
    symlink("alice@host.1", host.at("etc/mfa/policy.d/.#20-b.toml")).unwrap();
    let policy = load(&host.paths).unwrap().0.policy.to_string();
    let names: Vec<&str> = policy
        .lines()
        .filter_map(|line| line.strip_prefix("name = "))
        .collect();
    assert_eq!(names, ["\"first\"", "\"a\"", "\"b\"", "\"vendor\""]);
}

#[test]
fn every_error_of_every_file_is_reported_at_once() {
    let host = Host::new();
    host.write("etc/mfa/mfad.toml", "[prompt]\ntries = 0\ntxt = \"\"\n");
    host.write("etc/mfa/policy.toml", "[[rule]]\n");
    host.write("etc/mfa/policy.d/10.toml", b"a = \"\xff\"\n");
    host.write("etc/mfa/policy.d/20.toml", rule("ok"));
    host.chmod("etc/mfa/policy.d/20.toml", 0o666);
    host.write("usr/lib/mfa/policy.toml", "x");
    let errors = host.errors();
    let begins: Vec<String> = errors
        .iter()
        .map(|line| line.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        begins,
        [
            // First what cannot be read at all.
            "etc/mfa/policy.d/10.toml:1:6",
            "etc/mfa/policy.d/20.toml",
            "etc/mfa/mfad.toml:2:9",
            "etc/mfa/mfad.toml:3:1",
            "etc/mfa/policy.toml:1:1",
            "usr/lib/mfa/policy.toml:1:2",
        ],
        "{errors:#?}"
    );
}

#[test]
fn a_symbolic_link_is_refused_wherever_it_stands() {
    let host = Host::new();
    let target = host.write("elsewhere.toml", rule("x"));
    symlink(&target, host.at("etc/mfa/policy.toml")).unwrap();
    host.refused(
        "etc/mfa/policy.toml: is a symbolic link",
        "etc/mfa/policy.toml",
    );
    fs::remove_file(host.at("etc/mfa/policy.toml")).unwrap();

    symlink("nowhere", host.at("etc/mfa/policy.d/dangling.toml")).unwrap();
    host.refused(
        "etc/mfa/policy.d/dangling.toml: is a symbolic link",
        "dangling.toml",
    );
    fs::remove_file(host.at("etc/mfa/policy.d/dangling.toml")).unwrap();

    fs::rename(host.at("usr/lib"), host.at("lib")).unwrap();
    symlink(host.at("lib"), host.at("usr/lib")).unwrap();
    host.refused("usr/lib: is a symbolic link", "usr/lib");
}

#[test]
fn what_others_can_write_is_refused_with_the_command_that_mends_it() {
    for mode in [0o664, 0o646, 0o666] {
        let host = Host::new();
        let file = host.write("etc/mfa/policy.toml", rule("x"));
        host.chmod("etc/mfa/policy.toml", mode);
        host.refused(
            &format!(
                "etc/mfa/policy.toml: can be written by others than its owner (mode {mode:04o})"
            ),
            "; mend it: chmod go-w etc/mfa/policy.toml",
        );
        // The command does mend it.
        fs::set_permissions(&file, fs::Permissions::from_mode(mode & !0o022)).unwrap();
        load(&host.paths).unwrap();
    }
    for directory in ["", "etc", "etc/mfa", "etc/mfa/policy.d", "usr/lib"] {
        let host = Host::new();
        host.chmod(directory, 0o775);
        let errors = host.errors();
        let named = if directory.is_empty() {
            host.directory.path().to_str().unwrap()
        } else {
            directory
        };
        let expected = format!("{named}: can be written by others");
        assert!(
            errors.iter().all(|line| line.starts_with(&expected)),
            "{errors:#?}"
        );
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    let mut host = Host::new();
    let file = host.write("etc/mfa/policy.toml", rule("x"));
    if Uid::effective().is_root() {
        chown(&file, Some(65_534), None).unwrap();
        host.refused(
            "etc/mfa/policy.toml: belongs to user 65534",
            "; mend it: chown root:root etc/mfa/policy.toml && chmod go-w etc/mfa/policy.toml",
        );
        chown(&file, Some(0), None).unwrap();
        chown(host.at("etc/mfa"), Some(65_534), None).unwrap();
        assert!(
            host.errors()
                .iter()
                .all(|line| line.starts_with("etc/mfa: belongs to user 65534"))
        );
    } else {
        host.paths.owner = Uid::effective().as_raw() + 1;
        assert!(
            host.errors()
                .iter()
                .all(|line| line.contains(": belongs to user "))
        );
    }
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let host = Host::new();
    let file = host.at("etc/mfa/policy.toml");
    mkfifo(&file, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    host.refused("etc/mfa/policy.toml: is not a regular file", "");
    fs::remove_file(&file).unwrap();

    fs::create_dir(&file).unwrap();
    host.refused("etc/mfa/policy.toml: is not a regular file", "");
    fs::remove_dir(&file).unwrap();

    let _socket = std::os::unix::net::UnixListener::bind(&file).unwrap();
    host.refused("etc/mfa/policy.toml: is not a regular file", "");
    fs::remove_file(&file).unwrap();

    fs::remove_dir(host.at("etc/mfa/policy.d")).unwrap();
    host.write("etc/mfa/policy.d", "");
    host.refused("etc/mfa/policy.d: is not a directory", "");
}

#[test]
fn what_is_too_large_is_refused() {
    let host = Host::new();
    host.write("etc/mfa/mfad.toml", "#".repeat(super::MAX_FILE + 1));
    host.refused("etc/mfa/mfad.toml: is larger than the 65536 bytes", "");
    fs::remove_file(host.at("etc/mfa/mfad.toml")).unwrap();

    host.write("etc/mfa/policy.toml", "#".repeat(policy::MAX_SOURCE + 1));
    host.refused("etc/mfa/policy.toml: is larger than the 4194304 bytes", "");
    fs::remove_file(host.at("etc/mfa/policy.toml")).unwrap();

    for number in 0..3 {
        host.write(
            &format!("etc/mfa/policy.d/{number}.toml"),
            "#".repeat(policy::MAX_SOURCE),
        );
    }
    host.refused(
        "etc/mfa/policy.d/2.toml:1:1: with this file the policy has more than the 8388608 bytes",
        "",
    );
}

#[test]
fn more_drop_ins_than_256_are_refused_and_so_are_names_that_cannot_be_shown() {
    let host = Host::new();
    for number in 0..256 {
        host.write(&format!("etc/mfa/policy.d/{number}.toml"), "");
    }
    load(&host.paths).unwrap();
    host.write("etc/mfa/policy.d/256.toml", "");
    host.refused("etc/mfa/policy.d: holds more than the 256 files", "");
    fs::remove_file(host.at("etc/mfa/policy.d/256.toml")).unwrap();
    fs::rename(
        host.at("etc/mfa/policy.d/0.toml"),
        host.at("etc/mfa/policy.d/\u{1b}[2J.toml"),
    )
    .unwrap();
    host.refused(
        "'etc/mfa/policy.d/\u{fffd}[2J.toml': has control characters",
        "; rename it",
    );
}

#[test]
fn a_file_that_may_not_be_read_is_refused() {
    if Uid::effective().is_root() {
        return; // Root may read everything.
    }
    let host = Host::new();
    host.write("etc/mfa/policy.toml", rule("x"));
    host.chmod("etc/mfa/policy.toml", 0o000);
    host.refused("etc/mfa/policy.toml: may not be read by mfad", "");
}

#[test]
fn a_path_with_blanks_or_quotes_can_be_pasted_into_a_shell() {
    let host = Host::new();
    host.write("etc/mfa/policy.d/it's $(here).toml", "");
    host.chmod("etc/mfa/policy.d/it's $(here).toml", 0o666);
    host.refused(
        r"'etc/mfa/policy.d/it'\''s $(here).toml': can be written",
        r"chmod go-w 'etc/mfa/policy.d/it'\''s $(here).toml'",
    );
}

#[test]
fn time_zones_are_those_of_this_machine() {
    let host = Host::new();
    let window = |zone: &str| {
        let when = format!("when = {{ time = \"Sat..Sun {zone}\" }}");
        rule("weekend").replace("when = {}", &when)
    };
    host.write("etc/mfa/policy.toml", window("Europe/Zurich"));
    load(&host.paths).unwrap();
    host.write("etc/mfa/policy.toml", window("Europe/Zurch"));
    host.refused(
        "etc/mfa/policy.toml:3:17: there is no time zone \"Europe/Zurch\"",
        "",
    );
}
