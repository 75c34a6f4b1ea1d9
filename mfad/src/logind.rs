//! Asks logind which login session a process is in. It believes no more than that: what the session means for a login is
//! decided elsewhere.

use std::{
    future::Future,
    io::Read as _,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::Mutex;
use zbus::{
    Connection as Bus, DeserializeDict, Proxy, Type,
    proxy::{CacheProperties, MethodFlags},
    wire::OwnedObjectPath,
};

use crate::{
    session::whereabouts::{Session, Whereabouts},
    store::SessionKey,
};

/// How long logind may take, all its answers together. A login waits for it only where a rule needs it.
const PATIENCE: Duration = Duration::from_millis(800);
/// Longest name of a session, seat or host that is taken, in bytes.
const LONGEST: usize = 256;

const NAME: &str = "org.freedesktop.login1";
const OBJECT: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const SESSION: &str = "org.freedesktop.login1.Session";

/// Knows the session of a process.
pub trait Sessions: Send + Sync {
    /// Where that process (a pidfd) runs. Answers within a second, whatever happens.
    fn whereabouts<'a>(
        &'a self,
        process: OwnedFd,
    ) -> Pin<Box<dyn Future<Output = Whereabouts> + Send + 'a>>;
}

/// Knows nothing.
#[derive(Debug, Default)]
pub struct Nowhere;

impl Sessions for Nowhere {
    fn whereabouts<'a>(
        &'a self,
        _process: OwnedFd,
    ) -> Pin<Box<dyn Future<Output = Whereabouts> + Send + 'a>> {
        Box::pin(std::future::ready(Whereabouts::Unknown))
    }
}

/// logind, over the daemon's connection to the system bus.
pub struct Logind {
    bus: Arc<Mutex<Option<Bus>>>,
}

impl Logind {
    /// Asks over whatever connection is there at the time.
    pub fn on(bus: Arc<Mutex<Option<Bus>>>) -> Self {
        Self { bus }
    }

    async fn ask(&self, process: &OwnedFd) -> Option<Session> {
        let pid = pid_of(process.as_fd())?;
        let bus = self.bus.lock().await.clone()?;
        let path: OwnedObjectPath = call(&bus, OBJECT, MANAGER, "GetSessionByPID", &pid).await?;
        let told: Told = call(&bus, path.as_str(), PROPERTIES, "GetAll", &SESSION).await?;
        // Alive now, and so all the time: the number was nobody else's while logind was asked about it.
        is_alive(process.as_fd()).then(|| told.session()).flatten()
    }
}

/// Calls logind if it is there. It is not started for this: where it does not run, nobody sits in a session of its.
async fn call<R>(
    bus: &Bus,
    path: &str,
    interface: &str,
    method: &str,
    body: &(impl serde::Serialize + zbus::wire::DynamicType),
) -> Option<R>
where
    R: for<'d> zbus::wire::DynamicDeserialize<'d>,
{
    let proxy = zbus::proxy::Builder::<Proxy<'_>>::new(bus)
        .destination(NAME)
        .path(path)
        .interface(interface)
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .ok()?;
    let answer = proxy.call_with_flags(method, MethodFlags::NO_AUTO_START, body);
    answer.await.ok().flatten()
}

impl Sessions for Logind {
    fn whereabouts<'a>(
        &'a self,
        process: OwnedFd,
    ) -> Pin<Box<dyn Future<Output = Whereabouts> + Send + 'a>> {
        Box::pin(async move {
            let asked = tokio::time::timeout(PATIENCE, self.ask(&process)).await;
            asked
                .ok()
                .flatten()
                .map_or(Whereabouts::Unknown, Whereabouts::In)
        })
    }
}

/// What is read of a session's properties (org.freedesktop.login1(5)).
#[derive(Debug, Clone, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "PascalCase")]
struct Told {
    id: String,
    timestamp: u64,
    timestamp_monotonic: u64,
    user: (u32, OwnedObjectPath),
    seat: (String, OwnedObjectPath),
    remote: bool,
    remote_host: String,
    class: String,
    state: String,
}

/// Sessions that a person has before them. Those of services, of cron and of the user's manager have nobody.
const ATTENDED: [&str; 6] = [
    "user",
    "user-early",
    "user-light",
    "user-early-light",
    "greeter",
    "lock-screen",
];
/// Its person has logged out, and processes were left behind: who uses them now, nobody knows.
const CLOSING: &str = "closing";

impl Told {
    fn session(self) -> Option<Session> {
        if self.state == CLOSING || !ATTENDED.contains(&self.class.as_str()) {
            return None;
        }
        let present = |text: String| (1..=LONGEST).contains(&text.len()).then_some(text);
        let id = present(self.id)?;
        Some(Session {
            key: SessionKey::of(&id, self.timestamp, self.timestamp_monotonic),
            id,
            uid: self.user.0,
            seat: present(self.seat.0),
            remote: self.remote,
            host: present(self.remote_host),
        })
    }
}

/// Most that is read of what the kernel tells of a pidfd, in bytes.
const LONGEST_FDINFO: u64 = 4096;

/// The process that a pidfd stands for; `None` for other descriptors, and for processes that this one cannot see.
fn pid_of(process: BorrowedFd<'_>) -> Option<u32> {
    if !is_pidfd(process) {
        return None;
    }
    let path = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
    let mut info = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(LONGEST_FDINFO).read_to_string(&mut info).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Whether it is one, by the name that the kernel gives it (since Linux 6.9 it is of a file system of their own). Asked before
/// anything else: of other descriptors (an epoll, an inotify) the kernel tells all that they watch, which their maker can
/// make a hundred megabytes of, at the daemon's cost.
fn is_pidfd(descriptor: BorrowedFd<'_>) -> bool {
    let name = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    name.is_ok_and(|name| {
        let name = name.as_os_str().as_bytes();
        name == b"anon_inode:[pidfd]" || name.starts_with(b"pidfd:[")
    })
}

/// A pidfd can be read from once its process has ended.
fn is_alive(process: BorrowedFd<'_>) -> bool {
    let mut watched = [PollFd::new(process, PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::ZERO) == Ok(0)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, process::Command};

    use zbus::{Variant, wire::ObjectPath};

    use super::*;

    fn pidfd(pid: u32) -> OwnedFd {
        use std::os::fd::FromRawFd as _;
        // SAFETY: pidfd_open(2) takes two integers and returns a new descriptor, which nobody else owns.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        assert!(fd >= 0);
        // SAFETY: as above.
        unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
    }

    fn properties(edit: impl FnOnce(&mut HashMap<&str, Variant<'_>>)) -> Option<Session> {
        let path = || ObjectPath::try_from("/org/freedesktop/login1/x").unwrap();
        let mut told: HashMap<&str, Variant<'_>> = HashMap::from([
            ("Id", "3".into()),
            ("Timestamp", 5_u64.into()),
            ("TimestampMonotonic", 7_u64.into()),
            ("User", (1000_u32, path()).into()),
            ("Seat", ("", path()).into()),
            ("Remote", true.into()),
            ("RemoteHost", "192.0.2.7".into()),
            ("Class", "user".into()),
            ("State", "active".into()),
            ("Leader", 42_u32.into()),
        ]);
        edit(&mut told);
        let message = zbus::Message::signal("/x", "a.b", "C");
        let message = message.build(&told).unwrap();
        let told: Told = message.body().deserialize().ok()?;
        told.session()
    }

    #[test]
    fn a_session_is_what_logind_says_of_it() {
        let session = properties(|_| ()).unwrap();
        assert_eq!(session.key, SessionKey::of("3", 5, 7));
        assert_eq!(
            (session.uid, session.seat, session.remote),
            (1000, None, true)
        );
        assert_eq!(session.host.as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn what_is_missing_or_of_another_type_makes_it_unknown() {
        for name in [
            "Id",
            "Timestamp",
            "User",
            "Seat",
            "Remote",
            "RemoteHost",
            "Class",
            "State",
        ] {
            assert_eq!(properties(|told| drop(told.remove(name))), None, "{name}");
            let wrong = properties(|told| drop(told.insert(name, 7_u8.into())));
            assert_eq!(wrong, None, "{name}");
        }
    }

    #[test]
    fn a_session_without_anybody_before_it_is_unknown() {
        for class in ["manager", "background", "user-incomplete", ""] {
            let found = properties(|told| drop(told.insert("Class", class.into())));
            assert_eq!(found, None, "{class}");
        }
        for (state, known) in [("online", true), ("active", true), ("closing", false)] {
            let found = properties(|told| drop(told.insert("State", state.into())));
            assert_eq!(found.is_some(), known, "{state}");
        }
    }

    #[test]
    fn a_pidfd_names_its_process_for_as_long_as_it_lives() {
        let own = pidfd(std::process::id());
        assert_eq!(pid_of(own.as_fd()), Some(std::process::id()));
        assert!(is_alive(own.as_fd()));
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let ended = pidfd(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(ended.as_fd()));
        let no_process: OwnedFd = std::fs::File::open("/").unwrap().into();
        assert_eq!(pid_of(no_process.as_fd()), None);
    }

    #[test]
    fn what_the_kernel_tells_of_other_descriptors_is_not_read() {
        use std::os::fd::FromRawFd as _;
        // SAFETY: an integer in, and a new descriptor out, which nobody else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        assert!(!is_pidfd(epoll.as_fd()));
        assert_eq!(pid_of(epoll.as_fd()), None);
        assert!(is_pidfd(pidfd(std::process::id()).as_fd()));
        // A file can be called anything, but not without its path.
        let scratch = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(scratch.path().join("pidfd:[1]")).unwrap();
        assert!(!is_pidfd(file.as_fd()));
    }

    #[tokio::test]
    async fn without_a_bus_nothing_is_known() {
        let logind = Logind::on(Arc::default());
        let whereabouts = logind.whereabouts(pidfd(std::process::id())).await;
        assert_eq!(whereabouts, Whereabouts::Unknown);
    }
}
