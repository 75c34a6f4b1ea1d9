//! What the daemon does while it is still root, where no service manager does it: sockets, key, state directory; and
//! how it stops being root.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
        net::UnixListener,
    },
    path::Path,
};

use mfad_protocol::names;
use nix::unistd::{Gid, Uid, User, setgid, setgroups, setuid};

/// Gives the daemon's memory no way into a core dump or a debugger of its own uid.
pub(crate) fn forbid_dumps() -> io::Result<()> {
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
    // SAFETY: PR_SET_DUMPABLE takes a plain integer and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Binds a login socket in `directory`, which must be the owner's and nobody else's to write to. A socket left over
/// by a daemon that died is replaced; the bus name sees to it that there is only one daemon.
pub(crate) fn bind(
    directory: &Path,
    file: &str,
    mode: u32,
    owner: u32,
) -> io::Result<UnixListener> {
    if !directory.exists() {
        DirBuilder::new().mode(0o755).create(directory)?;
    }
    let found = fs::symlink_metadata(directory)?;
    if !found.is_dir() || found.uid() != owner || found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "{} must be a directory of root's that nobody else can write to; run: chown root:root {0} && chmod 755 {0}",
            directory.display()
        )));
    }
    let path = directory.join(file);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok(listener)
}

/// The daemon's own user.
pub(crate) fn daemon_user() -> io::Result<User> {
    User::from_name(names::DAEMON_USER)?.ok_or_else(|| {
        io::Error::other(format!(
            "there is no user {0}; run: useradd --system --no-create-home --shell /usr/sbin/nologin {0}",
            names::DAEMON_USER
        ))
    })
}

/// Makes the state directory the daemon's own, mode 0700. One that is so already is left alone: on a disk that has become
/// read-only even that would fail, and a daemon that does not start tells nobody why.
pub(crate) fn hand_over_state(directory: &Path, user: &User) -> io::Result<()> {
    if !directory.exists() {
        DirBuilder::new().mode(0o700).create(directory)?;
    }
    let found = fs::metadata(directory)?;
    let owned = (found.uid(), found.gid()) == (user.uid.as_raw(), user.gid.as_raw());
    if owned && found.mode() & 0o7777 == 0o700 {
        return Ok(());
    }
    chown(directory, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

/// Becomes `user` for good: supplementary groups first, then group, then user; and checks that there is no way back, by
/// a setuid program neither (systemd's unit has `NoNewPrivileges=`, a bare bus has nothing like it).
pub(crate) fn become_user(user: &User) -> io::Result<()> {
    setgroups(&[])?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    let still_root = setuid(Uid::from_raw(0)).is_ok() || setgid(Gid::from_raw(0)).is_ok();
    if still_root || Uid::effective() != user.uid {
        return Err(io::Error::other("could not give root up"));
    }
    nix::sys::prctl::set_no_new_privs()?;
    Ok(())
}
