//! Are the installed files in place, and could anybody but root change them? Looks at names, owners and modes; opens
//! no key.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use mfad_protocol::names;
use nix::sys::statvfs::statvfs;

use super::Finding;
use crate::rules::unsafe_writer;

/// Bytes that the store's disk should have left: what its log takes from the start, and as much again.
const ENOUGH_ROOM: u64 = 1 << 20;

/// Checks everything below `root`.
pub(super) fn examine(root: &Path) -> Vec<Finding> {
    let tree = Tree {
        root,
        owner: fs::metadata(root).map_or(0, |facts| facts.uid()),
    };
    let mut findings = vec![tree.module(), tree.stacks(), tree.bus()];
    findings.extend(tree.configuration());
    findings.push(tree.key());
    findings.push(tree.socket());
    findings.push(tree.security_keys());
    findings.extend(tree.room());
    findings
}

struct Tree<'a> {
    root: &'a Path,
    /// Whose everything must be: root's, but for a test's own directory.
    owner: u32,
}

impl Tree<'_> {
    fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn module(&self) -> Finding {
        let directories = crate::pam::Tree::new(self.root).module_directories();
        let found = directories.into_iter().find_map(|directory| {
            let path = self.below(&directory).join("pam_mfa.so");
            fs::symlink_metadata(&path).ok().map(|facts| (path, facts))
        });
        let Some((path, facts)) = found else {
            return Finding::fail(
                "module",
                "pam_mfa.so is in none of the directories that PAM looks in: a stack that names it denies",
                "Install the package again (`sudo make install`)",
            );
        };
        match unsafe_writer(&facts, self.owner) {
            _ if !facts.is_file() => Finding::fail(
                "module",
                format!("{} is not a plain file", path.display()),
                "Install the package again (`sudo make install`)",
            ),
            Some(what) => Finding::fail(
                "module",
                format!("{} {what}", path.display()),
                "Find out who changed it, and install the package again",
            ),
            None => Finding::ok("module", path.display().to_string()),
        }
    }

    /// Which services ask for a second factor at all.
    fn stacks(&self) -> Finding {
        let mut services: Vec<String> = fs::read_dir(self.below("/etc/pam.d"))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                fs::read_to_string(entry.path()).is_ok_and(|text| names_the_module(&text))
            })
            .map(|entry| mfad_protocol::printable(&entry.file_name().to_string_lossy()))
            .collect();
        services.sort();
        if services.is_empty() {
            return Finding::warn(
                "stacks",
                "no file in /etc/pam.d names pam_mfa.so: nobody is asked for a second factor yet",
                "With a root shell kept open: mfactl enroll totp, then: mfactl pam install sudo",
            );
        }
        Finding::ok("stacks", format!("pam_mfa.so in {}", services.join(", ")))
    }

    /// Without its policy the bus lets the daemon own no name; without its service file it cannot start it.
    fn bus(&self) -> Finding {
        let wanted = [
            [
                "/usr/share/dbus-1/system.d/org.mfad.Mfad1.conf",
                "/etc/dbus-1/system.d/org.mfad.Mfad1.conf",
            ],
            [
                "/usr/share/dbus-1/system-services/org.mfad.Mfad1.service",
                "/usr/local/share/dbus-1/system-services/org.mfad.Mfad1.service",
            ],
        ];
        for places in wanted {
            if !places.iter().any(|path| self.below(path).is_file()) {
                return Finding::fail(
                    "bus",
                    format!("{} is missing", self.below(places[0]).display()),
                    "Install the package again (`sudo make install`)",
                );
            }
        }
        Finding::ok("bus", "policy and service file are in place")
    }

    fn configuration(&self) -> Vec<Finding> {
        let directory = self.below(names::CONFIG_DIR);
        let paths = [
            directory.clone(),
            directory.join(names::POLICY_DIR),
            directory.join(names::SETTINGS_FILE),
        ];
        let Ok(_) = fs::symlink_metadata(&directory) else {
            return vec![Finding::fail(
                "config",
                format!("{} is missing", directory.display()),
                "sudo systemd-tmpfiles --create mfad.conf",
            )];
        };
        let unsafe_ones: Vec<Finding> = paths
            .iter()
            .filter_map(|path| {
                let facts = fs::symlink_metadata(path).ok()?;
                if facts.file_type().is_symlink() {
                    return Some(Finding::fail(
                        "config",
                        format!("{} is a symbolic link", path.display()),
                        "Put the file itself there",
                    ));
                }
                unsafe_writer(&facts, self.owner).map(|what| {
                    Finding::fail(
                        "config",
                        format!("{} {what}", path.display()),
                        "Look at what is in it before you trust it again",
                    )
                })
            })
            .collect();
        if unsafe_ones.is_empty() {
            vec![Finding::ok(
                "config",
                format!("{} belongs to root alone", directory.display()),
            )]
        } else {
            unsafe_ones
        }
    }

    fn key(&self) -> Finding {
        let path = self.below(names::CONFIG_DIR).join(names::KEY_FILE);
        let Ok(facts) = fs::symlink_metadata(&path) else {
            return self.sealed_key(&path);
        };
        let mode = facts.mode() & 0o7777;
        if !facts.is_file() || facts.uid() != self.owner || mode & 0o077 != 0 {
            return Finding::fail(
                "key",
                format!(
                    "{} must be a plain file of root's that nobody else may read (mode {mode:04o})",
                    path.display(),
                ),
                format!(
                    "sudo chown root:root {0} && sudo chmod 0600 {0}",
                    path.display()
                ),
            );
        }
        Finding::ok("key", format!("{} (mode {mode:04o})", path.display()))
    }

    /// No key file: is there a sealed credential for it, as systemd-creds(1) makes them?
    fn sealed_key(&self, path: &Path) -> Finding {
        let sealed = SEALED_KEYS
            .iter()
            .map(|path| self.below(path))
            .find(|path| path.symlink_metadata().is_ok());
        match sealed {
            Some(sealed) => Finding::ok("key", format!("sealed in {}", sealed.display())),
            None => Finding::fail(
                "key",
                format!(
                    "{} is missing: no stored secret can be read",
                    path.display()
                ),
                "Restore it from your backup; a new key makes everybody enroll again",
            ),
        }
    }

    /// Whether the store can grow. It goes on for a while without, in blocks that it has. Nothing to say where there is no
    /// store yet.
    fn room(&self) -> Option<Finding> {
        let directory = self.below(names::STATE_DIR);
        let found = statvfs(&directory).ok()?;
        let left = found
            .blocks_available()
            .saturating_mul(found.fragment_size());
        let shown = format!("{} left for {}", amount(left), directory.display());
        if left >= ENOUGH_ROOM {
            return Some(Finding::ok("disk", shown));
        }
        Some(Finding::fail(
            "disk",
            format!(
                "the disk is full, with {shown}: codes that cannot be noted as used are refused"
            ),
            format!("Make room; see: df {}", directory.display()),
        ))
    }

    /// Whether the helper that asks security keys can be started.
    fn security_keys(&self) -> Finding {
        let check = "fido2";
        let socket = self.below(names::RUN_DIR).join(names::FIDO_SOCKET);
        let is_there =
            fs::symlink_metadata(socket).is_ok_and(|facts| facts.file_type().is_socket());
        if is_there {
            return Finding::ok(check, "security keys can be asked by who sits here");
        }
        if self.below("/run/systemd/system").is_dir() {
            return Finding::warn(
                check,
                "security keys are not offered: nobody starts the helper that asks them",
                "sudo systemctl enable --now mfad-fido.socket",
            );
        }
        Finding::ok(
            check,
            "security keys are not offered: only systemd starts the helper that asks them",
        )
    }

    fn socket(&self) -> Finding {
        const NEXT: &str = "sudo systemctl enable --now mfad.socket";
        let directory = self.below(names::RUN_DIR);
        let path = self.below(names::PAM_SOCKET);
        let Ok(place) = fs::symlink_metadata(&directory) else {
            return Finding::fail(
                "socket",
                format!("{} is missing", directory.display()),
                format!("sudo systemd-tmpfiles --create mfad.conf && {NEXT}"),
            );
        };
        if !place.is_dir() || unsafe_writer(&place, self.owner).is_some() {
            return Finding::fail(
                "socket",
                format!(
                    "{} must be a directory that only root may write",
                    directory.display()
                ),
                "sudo systemd-tmpfiles --create mfad.conf",
            );
        }
        match fs::symlink_metadata(&path) {
            Err(_) => Finding::fail(
                "socket",
                format!(
                    "{} is missing: logins take the slower way by the bus",
                    path.display()
                ),
                NEXT,
            ),
            Ok(facts)
                if !facts.file_type().is_socket()
                    || facts.uid() != self.owner
                    || facts.mode() & 0o177 != 0 =>
            {
                Finding::fail(
                    "socket",
                    format!(
                        "{} must be a socket of root's with mode 0600",
                        path.display()
                    ),
                    "sudo systemctl restart mfad.socket",
                )
            }
            Ok(_) => Finding::ok("socket", path.display().to_string()),
        }
    }
}

/// Where systemd looks for a sealed `mfad.key`.
const SEALED_KEYS: [&str; 3] = [
    "/etc/mfa/mfad.key.cred",
    "/etc/credstore.encrypted/mfad.key",
    "/run/credstore.encrypted/mfad.key",
];

/// Whether a PAM file has a line, not a comment, with the module in it.
fn names_the_module(text: &str) -> bool {
    text.lines()
        .filter_map(|line| line.split('#').next())
        .any(|line| line.contains("pam_mfa.so"))
}

/// Bytes, as people count them.
fn amount(bytes: u64) -> String {
    match bytes {
        ..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
