//! The key file, and what is asked of any path that is read.

use std::path::{Path, PathBuf};

use super::Host;
use crate::config::{KeySource, Paths, Purpose, Trust, read_key};

#[test]
fn the_key_is_read_only_if_nobody_else_can_read_it() {
    let host = Host::new();
    assert!(read_key(&host.paths).unwrap_err().is_missing());
    host.write("etc/mfa/mfad.key", "mfad-key 1 00\n");
    for mode in [0o640, 0o604, 0o644, 0o610] {
        host.chmod("etc/mfa/mfad.key", mode);
        let error = read_key(&host.paths).unwrap_err().to_string();
        assert!(
            error.contains("holds a secret and can be read by others"),
            "{error}"
        );
    }
    for mode in [0o400, 0o600] {
        host.chmod("etc/mfa/mfad.key", mode);
        assert_eq!(
            read_key(&host.paths).unwrap().as_slice(),
            b"mfad-key 1 00\n"
        );
    }
    host.write("etc/mfa/mfad.key", "#".repeat(64 * 1024 + 1));
    host.chmod("etc/mfa/mfad.key", 0o600);
    let error = read_key(&host.paths).unwrap_err().to_string();
    assert!(
        error.ends_with("is larger than the 65536 bytes that are read"),
        "{error}"
    );
}

#[test]
fn a_credential_may_show_the_group_bits_of_its_acl_but_nothing_to_others() {
    let host = Host::new();
    let file = host.write("etc/mfa/mfad.key", "k");
    let read = |mode| {
        host.chmod("etc/mfa/mfad.key", mode);
        let purpose = KeySource::Credential(file.clone()).purpose();
        let trust = Trust {
            root: &host.paths.root,
            owner: host.paths.owner,
        };
        trust
            .read(&file, purpose, 100)
            .map(|bytes| bytes.to_vec())
            .map_err(|error| error.to_string())
    };
    assert_eq!(read(0o440).unwrap(), b"k");
    assert_eq!(read(0o400).unwrap(), b"k");
    assert!(read(0o444).unwrap_err().contains("can be read by others"));
    assert!(
        read(0o460)
            .unwrap_err()
            .contains("can be written by others")
    );
}

#[test]
fn a_path_outside_of_the_root_is_refused() {
    let host = Host::new();
    let trust = Trust {
        root: &host.paths.config_dir,
        owner: host.paths.owner,
    };
    for path in [
        host.at("etc/x"),
        host.at("etc/mfa/policy.d/../../x"),
        PathBuf::from("relative"),
    ] {
        let error = trust.read(&path, Purpose::Configuration, 1).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("must be an absolute path without `..`"),
            "{error}"
        );
    }
}

#[test]
fn an_installed_system_has_the_compiled_in_paths() {
    let paths = Paths::system(None);
    assert_eq!(paths.config_dir, Path::new("/etc/mfa"));
    assert_eq!(paths.vendor_dir, Path::new("/usr/lib/mfa"));
    assert_eq!(
        (paths.owner, paths.key),
        (0, KeySource::File("/etc/mfa/mfad.key".into()))
    );
    let paths = Paths::system(Some("/run/credentials/mfad.service".into()));
    assert_eq!(
        paths.key,
        KeySource::Credential("/run/credentials/mfad.service/mfad.key".into())
    );
}
