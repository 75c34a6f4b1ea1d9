//! Confines this process by Landlock, before it has read anything from a device: from then on it opens security keys and
//! what tells of them, and no other file. It decides nothing else, and what it takes away does not come back.
//!
//! A mount namespace, which would do the same, takes systemd a tenth of a second to make, while somebody waits.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::{prctl::set_no_new_privs, stat::Mode},
};

/// What is in force from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confined {
    /// No file but the allowed ones is opened.
    Yes,
    /// There is no Landlock: this kernel has none (it came with Linux 5.13, and can be switched off), or a container's filter
    /// of system calls keeps it from its processes.
    NotHere,
}

// Names and numbers of <linux/landlock.h>; by what version of the interface the kernel knows them.
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// From `EXECUTE` to `MAKE_SYM`.
const FIRST: u64 = (1 << 13) - 1;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// Bind and connect of TCP.
const NET: u64 = 0b11;
/// Sockets by an abstract name, and signals, of processes outside.
const SCOPE: u64 = 0b11;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// What stays allowed beneath a directory. The nodes come and go with the keys, so the rule is for their directory; which
/// of them are whose, `DeviceAllow=` and the nodes' modes say.
const ALLOWED: [(&CStr, u64); 3] = [
    (c"/dev", READ_FILE | WRITE_FILE),
    (c"/sys/class", READ_FILE | READ_DIR),
    (c"/sys/devices", READ_FILE | READ_DIR),
];

/// `struct landlock_ruleset_attr`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ruleset {
    access_fs: u64,
    access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    access: u64,
    directory: RawFd,
}

impl Ruleset {
    /// Everything that a kernel of this version can forbid.
    const fn strictest(version: i64) -> Self {
        let mut ruleset = Self {
            access_fs: FIRST,
            access_net: 0,
            scoped: 0,
        };
        if version >= 2 {
            ruleset.access_fs |= REFER;
        }
        if version >= 3 {
            ruleset.access_fs |= TRUNCATE;
        }
        if version >= 4 {
            ruleset.access_net = NET;
        }
        if version >= 5 {
            ruleset.access_fs |= IOCTL_DEV;
        }
        if version >= 6 {
            ruleset.scoped = SCOPE;
        }
        ruleset
    }

    /// As much of it as a kernel of this version knows: it refuses a longer one.
    const fn size(version: i64) -> usize {
        match version {
            ..=3 => 8,
            4 | 5 => 16,
            _ => 24,
        }
    }
}

/// Confines the calling thread, and with it all that it starts.
pub(crate) fn confine() -> io::Result<Confined> {
    let version = match version() {
        Ok(version) => version,
        // The kernel itself says one of the first two; it never refuses this question.
        Err(Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM) => return Ok(Confined::NotHere),
        Err(error) => return Err(error.into()),
    };
    let ruleset = create(version)?;
    for (directory, access) in ALLOWED {
        // What is not there needs none.
        match open(directory, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(directory) => allow(&ruleset, &directory, access)?,
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    set_no_new_privs()?;
    // SAFETY: two numbers, no pointer.
    let done =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) };
    Errno::result(done)?;
    Ok(Confined::Yes)
}

/// The version of the interface, from 1 on.
fn version() -> nix::Result<i64> {
    // SAFETY: with this flag the kernel reads no memory, and wants none.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<Ruleset>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    Errno::result(version)
}

fn create(version: i64) -> io::Result<OwnedFd> {
    let ruleset = Ruleset::strictest(version);
    // SAFETY: the size is at most that of the structure, which lives longer than the call.
    let made = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const ruleset,
            Ruleset::size(version),
            0_u32,
        )
    };
    let made = RawFd::try_from(Errno::result(made)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

fn allow(ruleset: &OwnedFd, directory: &OwnedFd, access: u64) -> io::Result<()> {
    let rule = Beneath {
        access,
        directory: directory.as_raw_fd(),
    };
    // SAFETY: the structure is of the kind that the number names, and lives longer than the call.
    let added = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0_u32,
        )
    };
    Errno::result(added)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, OpenOptions},
        io::Write as _,
        thread,
    };

    use super::*;

    /// What can be tried before and after.
    fn attempts() -> Vec<(&'static str, io::Result<()>)> {
        let write = |path| OpenOptions::new().write(true).open(path).map(drop);
        vec![
            ("read /etc/passwd", File::open("/etc/passwd").map(drop)),
            ("list /etc", fs::read_dir("/etc").map(drop)),
            ("list /proc", fs::read_dir("/proc").map(drop)),
            (
                "read /proc/self/maps",
                File::open("/proc/self/maps").map(drop),
            ),
            ("create in /tmp", {
                let path = std::env::temp_dir().join(format!("mfad-fido-{}", std::process::id()));
                let made = File::create(&path).map(drop);
                let _absent = fs::remove_file(path);
                made
            }),
            ("create in /dev/shm", {
                let path = format!("/dev/shm/mfad-fido-{}", std::process::id());
                let made = File::create(&path).map(drop);
                let _absent = fs::remove_file(path);
                made
            }),
            ("write to itself", write("/proc/self/comm")),
            (
                "run a program",
                std::process::Command::new("/bin/true").status().map(drop),
            ),
        ]
    }

    #[test]
    fn a_confined_process_opens_what_tells_of_devices_and_nothing_else() {
        let before: Vec<_> = attempts();
        for (what, outcome) in &before {
            assert!(outcome.is_ok(), "{what}, before: {outcome:?}");
        }
        // Landlock is the thread's: the other tests' stay as they are.
        thread::spawn(|| {
            let confined = confine().expect("to be confined");
            if confined == Confined::NotHere {
                let listed = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
                assert!(!listed.contains("landlock"), "the kernel has it: {listed}");
                // Past the capture of a passed test's output: the summary of run-tests counts it.
                let said = b"SKIPPED a_confined_process_opens_what_tells_of_devices_and_nothing_else: this kernel has no Landlock\n";
                io::stdout().write_all(said).expect("to be heard");
                return;
            }
            for (what, outcome) in attempts() {
                let error = outcome.expect_err(what);
                assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{what}");
            }
            OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/null")
                .expect("what is in /dev");
            fs::read_dir("/sys/class").expect("the classes of devices");
            fs::read_dir("/sys/devices").expect("the devices");
            fs::read_dir("/sys/kernel").expect_err("the rest of /sys");
        })
        .join()
        .expect("the confined thread");
    }

    #[test]
    fn a_kernel_is_asked_for_no_more_than_its_version_knows() {
        let rights = |version| {
            let ruleset = Ruleset::strictest(version);
            (ruleset.access_fs, ruleset.access_net, ruleset.scoped)
        };
        assert_eq!((rights(1), Ruleset::size(1)), ((0x1fff, 0, 0), 8));
        assert_eq!((rights(2), Ruleset::size(2)), ((0x3fff, 0, 0), 8));
        assert_eq!((rights(3), Ruleset::size(3)), ((0x7fff, 0, 0), 8));
        assert_eq!((rights(4), Ruleset::size(4)), ((0x7fff, 3, 0), 16));
        assert_eq!((rights(5), Ruleset::size(5)), ((0xffff, 3, 0), 16));
        assert_eq!((rights(6), Ruleset::size(6)), ((0xffff, 3, 3), 24));
        assert_eq!(rights(99), rights(6));
        assert_eq!(Ruleset::size(99), size_of::<Ruleset>());
        let allowed = ALLOWED.iter().fold(0, |all, (_, access)| all | access);
        assert_eq!(allowed & !Ruleset::strictest(1).access_fs, 0);
    }
}
