//! The bed with systemd as its init: a Debian root file system, made once and kept, and a container on an overlay of it.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::{Bed, Init, Kind, Way, await_start, children, mirror, remove_empty};
use crate::{Failure, build};

/// Debian's release under test.
pub(super) const SUITE: &str = "bookworm";

/// What is in the root file system.
pub(super) const PACKAGES: &str = "systemd,systemd-sysv,dbus,udev,polkitd,libpam-systemd,pkexec,openssh-server,openssh-client,sudo,login,\
                        passwd,util-linux,iproute2,procps,cron,pamtester,libpam-google-authenticator,faketime";

/// Run in the new root file system, `$1`: what every machine of the suite has, and what none needs.
const CUSTOMIZE: &str = r#"
printf 'ListenAddress 127.0.0.1:2222\nPasswordAuthentication no\n' >"$1/etc/ssh/sshd_config.d/20-bed.conf"
printf '127.0.0.1 localhost mfa-bed\n' >"$1/etc/hosts"
echo mfa-bed >"$1/etc/hostname"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer cron.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
"#;

/// Boots: `$1` is a directory to use, `$2` the root file system, `$3` the machine's name; what follows is passed on.
///
/// The overlay is its own rather than --volatile=overlay, which locks the tree: beds run side by side. Its mounts live in
/// a namespace of this process and go with it. Where no systemd hands out control groups, --keep-unit puts every machine
/// into the caller's, and they would share one tree of units: so each gets its own. Landlock, which machines have, a container
/// of Debian 12 gets only if asked for.
const BOOT: &str = r#"
set -e
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root name=$3 keep=
shift 3
if [ ! -d /run/systemd/system ]; then
    keep=--keep-unit
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        [ -e "$hierarchy/cgroup.procs" ] || continue
        mkdir "$hierarchy/$name"
        echo $$ >"$hierarchy/$name/cgroup.procs"
    done
fi
exec systemd-nspawn --quiet --directory="$root" --boot --machine="$name" --register=no $keep --link-journal=no \
    --console=read-only --private-network \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" "$@"
"#;

/// What came of asking for the root file system.
#[derive(Debug)]
pub enum Rootfs {
    /// It is here.
    Ready(PathBuf),
    /// It would have to be made, and no mirror to make it from answers: why.
    NoMirror(String),
}

/// The root file system, made if it is not there yet (a minute or two, and it needs a Debian mirror). With a mirror that
/// answers, whatever then goes wrong is a failure.
pub fn rootfs() -> Result<Rootfs, Failure> {
    let mut recipe = DefaultHasher::new();
    (SUITE, PACKAGES, CUSTOMIZE).hash(&mut recipe);
    let cache = build::cache()?;
    let ready = cache.join(format!("rootfs-{:016x}", recipe.finish()));
    if ready.is_dir() {
        return Ok(Rootfs::Ready(ready));
    }
    fs::create_dir_all(&cache)?;
    let sources = mirror::sources();
    if let Some(reason) = mirror::silent(SUITE, sources, &cache)? {
        return Ok(Rootfs::NoMirror(reason));
    }
    // Made beside its place and renamed: half a root file system is never taken for a whole one.
    let new = ready.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    eprintln!("making the root file system {} (once)", ready.display());
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args(["--quiet", "--mode=root", "--variant=minbase"])
        .arg(format!("--include={PACKAGES}"))
        .arg(format!("--customize-hook={CUSTOMIZE}"))
        .arg(SUITE)
        .arg(&new)
        .args(sources)
        .env("DEBIAN_FRONTEND", "noninteractive");
    let output = mmdebstrap.output()?;
    if !output.status.success() {
        let _ = fs::remove_dir_all(&new);
        return Err(Failure::new(format!(
            "mmdebstrap failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    fs::rename(&new, &ready)?;
    Ok(Rootfs::Ready(ready))
}

/// Boots one with the product from `tree` installed, or without it.
pub fn start(rootfs: &Path, tree: Option<&Path>) -> Result<Bed, Failure> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("mfa-{}-{number}", std::process::id());
    let scratch = std::env::temp_dir().join(&name);
    fs::create_dir(&scratch)?;
    let left = [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/systemd",
    ]
    .map(|hierarchy| Path::new(hierarchy).join(&name))
    .into_iter()
    .chain([scratch.clone()])
    .collect::<Vec<_>>();
    let mut nspawn = Command::new("unshare");
    nspawn
        .args(["--mount", "--", "sh", "-c", BOOT, "sh"])
        .arg(&scratch)
        .arg(rootfs)
        .arg(&name);
    if let Some(tree) = tree {
        nspawn.arg(format!("--bind-ro={}:/mnt", tree.display()));
    }
    let mut keeper = nspawn
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let init = await_start(&mut keeper, Duration::from_secs(30), |keeper| {
        children(keeper)
            .into_iter()
            .find(|child| is_named(*child, "systemd"))
            .and_then(Init::of)
    });
    let init = match init {
        Ok(init) => init,
        Err(failure) => {
            for directory in &left {
                remove_empty(directory);
            }
            return Err(failure);
        }
    };
    let bed = Bed {
        kind: Kind::Nspawn,
        keeper,
        init,
        left,
        way: Way::Namespaces,
    };
    prepare(&bed, tree.is_some())?;
    Ok(bed)
}

/// Waits for the end of the boot and installs what is at /mnt.
fn prepare(bed: &Bed, install: bool) -> Result<(), Failure> {
    let mut script = String::from(
        "for i in $(seq 300); do \
             case $(systemctl is-system-running 2>/dev/null) in running|degraded) break ;; esac; sleep 0.1; done\n\
         systemctl is-active --quiet ssh || { systemctl status ssh; exit 1; }\n",
    );
    if install {
        script.push_str(
            "set -e\nfor dir in etc usr var opt; do \
                 [ ! -d /mnt/$dir ] || cp -R --preserve=mode,links --no-preserve=ownership /mnt/$dir/. /$dir/; done\n\
             /usr/share/mfa/post-install\n",
        );
    }
    let output = bed.command("sh").args(["-c", &script]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the bed did not start:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

fn is_named(pid: u32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
}
