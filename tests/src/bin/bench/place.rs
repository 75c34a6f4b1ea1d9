//! Where the measurements take place: state on a real disk, since in memory a sync costs nothing; programs, accounts and
//! stores in the bed. It measures nothing but sizes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use mfa_tests::{Failure, build, host::Host};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// Directories that the sandbox does not hide behind memory.
const VISIBLE: [&str; 2] = ["/mnt", "/media"];
/// Base32 of the secret that everybody enrolled by `fill` has.
pub(crate) const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Programs of the measurements alone.
pub(crate) struct Helpers {
    fill: PathBuf,
    load: PathBuf,
    /// A service that does nothing.
    pub(crate) empty: PathBuf,
}

/// Builds them, into the directory where this program lies.
pub(crate) fn helpers() -> Result<Helpers, Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tests = ["-p", "mfa-tests", "--bin", "loaddrive", "--bin", "empty"];
    for what in [&tests[..], &["-p", "mfad", "--example", "fill"]] {
        let mut build = Command::new(&cargo);
        build
            .current_dir(build::repository()?)
            .args(["build", "--quiet", "--locked", "--release"])
            .args(what);
        if !build.status()?.success() {
            return Err(Failure::new(format!("{build:?} failed")));
        }
    }
    let here = env::current_exe()?;
    Ok(Helpers {
        fill: here.with_file_name("examples").join("fill"),
        load: here.with_file_name("loaddrive"),
        empty: here.with_file_name("empty"),
    })
}

/// A directory of a disk that the bed sees.
pub(crate) struct Place {
    disk: PathBuf,
    seen_as: &'static str,
}

impl Place {
    /// Takes a directory in the cache. For this process and the bed only, it is mounted where the sandbox leaves it visible.
    pub(crate) fn on_a_disk() -> Result<Self, Failure> {
        let disk = build::cache()?.join("bench");
        let top = build::repository()?;
        fs::create_dir_all(&disk)?;
        // What lies below it would be hidden.
        let is_free = |seen: &&str| {
            !disk.starts_with(seen) && !top.starts_with(seen) && Path::new(seen).is_dir()
        };
        let seen_as = VISIBLE
            .into_iter()
            .find(is_free)
            .ok_or_else(|| Failure::new("neither /mnt nor /media is free to mount the state at"))?;
        let nothing: Option<&str> = None;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(nothing, "/", nothing, private, nothing)?;
        mount(Some(&disk), seen_as, nothing, MsFlags::MS_BIND, nothing)?;
        Ok(Self { disk, seen_as })
    }

    /// The directory, as the bed sees it.
    pub(crate) const fn directory(&self) -> &'static str {
        self.seen_as
    }

    /// A path in it, as the bed sees it.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.seen_as)
    }

    /// Puts programs and the first account into the bed, and the state on the disk.
    pub(crate) fn prepare(&self, host: &Host, helpers: &Helpers) -> Result<(), Failure> {
        let kind = host.ok(&format!("stat -f -c %T {}", self.seen_as))?;
        if ["overlayfs", "tmpfs"].contains(&kind.trim()) {
            return Err(Failure::new(format!(
                "{} is in memory, where a sync costs nothing; set MFA_TEST_CACHE to a directory of a real disk",
                self.disk.display()
            )));
        }
        eprintln!("state on {}", kind.trim());
        host.put_pamdrive()?;
        host.put_program("fill", &helpers.fill)?;
        host.put_program("loaddrive", &helpers.load)?;
        host.person("alice")?;
        host.ok(&format!("rm -rf {}/mfa*", self.seen_as))?;
        self.use_store(host, "mfa", None)
    }

    /// Makes a store the daemon's, first filled with so many people if it says how many. The daemon is down afterwards.
    pub(crate) fn use_store(
        &self,
        host: &Host,
        name: &str,
        people: Option<u32>,
    ) -> Result<(), Failure> {
        host.stop_daemon()?;
        let path = self.path(name);
        host.ok(&format!(
            "while mountpoint -q /var/lib/mfa; do umount /var/lib/mfa; done; \
             mkdir -p {path} && chown mfad: {path} && chmod 700 {path} && mount --bind {path} /var/lib/mfa"
        ))?;
        let Some(people) = people else {
            return Ok(());
        };
        // In steps, each of which a command of the bed has time for.
        let step = 50_000;
        for from in (0..people).step_by(step) {
            let to = people.min(from + 50_000);
            host.ok(&format!(
                "setpriv --reuid mfad --regid mfad --clear-groups fill /var/lib/mfa/mfa.db {from} {to} \
                 </etc/mfa/mfad.key"
            ))?;
        }
        Ok(())
    }

    /// Forgets what was measured with.
    pub(crate) fn empty(&self) -> Result<(), Failure> {
        for entry in fs::read_dir(self.seen_as)?.flatten() {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Gives somebody whom `fill` enrolled an account of this machine.
pub(crate) fn account(host: &Host, number: u64) -> Result<String, Failure> {
    let name = format!("user{number:07}");
    let line = format!("{name}:x:{}:65534::/:/bin/false", 100_000 + number);
    host.ok(&format!(
        "grep -q '^{name}:' /etc/passwd || echo {line} >>/etc/passwd"
    ))?;
    Ok(name)
}

/// Bytes of the module.
pub(crate) fn module_size(tree: &Path) -> Result<u64, Failure> {
    let libraries = fs::read_dir(tree.join("usr/lib"))?;
    let found: Option<PathBuf> = libraries
        .flatten()
        .map(|entry| entry.path().join("security/pam_mfa.so"))
        .find(|path| path.exists());
    let path = found.ok_or_else(|| Failure::new("the tree holds no pam_mfa.so"))?;
    Ok(fs::metadata(path)?.len())
}

/// Kilobytes of the daemon that are resident.
pub(crate) fn daemon_resident(host: &Host) -> Result<u64, Failure> {
    let status = host
        .ok("sed -n 's/^VmRSS:[[:space:]]*\\([0-9]*\\) kB/\\1/p' /proc/$(pgrep -x mfad)/status")?;
    status
        .trim()
        .parse()
        .map_err(|_| Failure::new(format!("no resident size of mfad: {status:?}")))
}
