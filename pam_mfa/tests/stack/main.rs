//! The module in a real libpam stack: this process is the host, a child is a daemon that follows a script.
//!
//! `cargo test -p pam_mfa --test stack`; one case by a part of its name; `-- --bench [N]` measures instead.
//! `PAM_MFA_MODULE=FILE` takes a module that is built already, as it is shipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite: what cannot be set up fails the case, and a panic says where"
)]

mod bench;
mod cases;
mod daemon;
mod host;
mod hygiene;
mod sandbox;

use std::{
    os::unix::net::UnixDatagram,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Child, Command, ExitCode},
    time::{Duration, Instant},
};

/// What the cases share.
pub(crate) struct Bed {
    log: UnixDatagram,
    daemons: Vec<Child>,
}

impl Bed {
    /// Starts the scripted daemon as `role` says: `peer PATH`, `peer-as UID PATH`, `bus` or `bus-as UID`.
    pub(crate) fn daemon(&mut self, role: &[&str]) {
        let ready = Path::new("/run/ready");
        let _ = std::fs::remove_file(ready);
        let executable = std::env::current_exe().unwrap();
        let child = Command::new(executable)
            .arg("--daemon")
            .args(role)
            .spawn()
            .unwrap();
        self.daemons.push(child);
        wait_until(role[0], || {
            ready.exists() || std::fs::read("/run/ready.bus").is_ok_and(|said| said == b"ready")
        });
        let _ = std::fs::remove_file("/run/ready.bus");
    }

    pub(crate) fn dbus_daemon(&mut self) {
        let config = concat!(
            "<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>",
            "<auth>EXTERNAL</auth><policy context=\"default\"><allow own=\"*\"/><allow send_destination=\"*\"/>",
            "<allow receive_sender=\"*\"/><allow user=\"*\"/></policy></busconfig>"
        );
        std::fs::write("/run/bus.conf", config).unwrap();
        let child = Command::new("dbus-daemon")
            .args(["--config-file=/run/bus.conf", "--nofork", "--nopidfile"])
            // It complains of limits that it may not raise here.
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("dbus-daemon is needed (Debian: apt-get install dbus-bin or dbus-daemon)");
        self.daemons.push(child);
        wait_until("dbus-daemon", || {
            Path::new("/run/dbus/system_bus_socket").exists()
        });
    }

    /// Ends all daemons and takes their sockets away.
    pub(crate) fn nobody(&mut self) {
        for mut child in self.daemons.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
        for socket in [
            mfad_protocol::names::PAM_SOCKET,
            mfad_protocol::names::USER_SOCKET,
            mfad_protocol::names::SYSTEM_BUS_SOCKET,
        ] {
            let _ = std::fs::remove_file(socket);
        }
    }

    pub(crate) fn logged(&self) -> Vec<String> {
        sandbox::logged(&self.log)
    }

    /// The calls that the daemon has had since the last time, one a line.
    #[expect(
        clippy::unused_self,
        reason = "what the daemons of this bed were asked"
    )]
    pub(crate) fn calls(&self) -> String {
        let calls = std::fs::read_to_string(daemon::CALLS).unwrap_or_default();
        if !calls.is_empty() {
            // Emptied and not removed: a daemon that is not root could not make it anew.
            std::fs::write(daemon::CALLS, "").unwrap();
        }
        calls
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.nobody();
    }
}

pub(crate) fn wait_until(what: &str, there: impl Fn() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{what} does not appear"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == "--daemon") {
        daemon_role(&arguments[1..]);
    }
    if arguments.iter().any(|a| a == "--list") {
        for (name, _) in cases::ALL {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    sandbox::build();
    let log = sandbox::enter();
    let mut bed = Bed {
        log,
        daemons: Vec::new(),
    };
    if let Some(at) = arguments.iter().position(|a| a == "--bench") {
        let rounds = arguments
            .get(at + 1)
            .and_then(|n| n.parse().ok())
            .unwrap_or(2000);
        bench::run(&mut bed, rounds);
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|a| !a.starts_with('-'));
    let mut failed = 0;
    let mut ran = 0;
    for (name, case) in cases::ALL {
        if filter.is_some_and(|f| !name.contains(f.as_str())) {
            continue;
        }
        bed.nobody();
        bed.calls();
        bed.logged();
        let passed = catch_unwind(AssertUnwindSafe(|| case(&mut bed))).is_ok();
        if !passed {
            println!("logged: {:#?}\ncalled: {}", bed.logged(), bed.calls());
        }
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        ran += 1;
        failed += u32::from(!passed);
    }
    // As libtest closes, so that whoever sums suites up counts these cases too.
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored",
        ran - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Never returns: serves until it is killed.
fn daemon_role(role: &[String]) -> ! {
    let role: Vec<&str> = role.iter().map(String::as_str).collect();
    let become_uid = |uid: &str| nix::unistd::setuid(uid.parse::<u32>().unwrap().into()).unwrap();
    let peer = |path: &str| {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(path, mode).unwrap();
        listener
    };
    match role[..] {
        ["peer", path] => {
            let listener = peer(path);
            std::fs::write("/run/ready", "").unwrap();
            daemon::serve(&listener);
        }
        // Root binds, somebody else listens: the path looks right, and the kernel tells.
        ["peer-as", uid, path] => {
            use nix::sys::socket::{
                AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
            };
            let fd = socket(
                AddressFamily::Unix,
                SockType::Stream,
                SockFlag::SOCK_CLOEXEC,
                None,
            )
            .unwrap();
            bind(
                std::os::fd::AsRawFd::as_raw_fd(&fd),
                &UnixAddr::new(path).unwrap(),
            )
            .unwrap();
            std::fs::write("/run/ready", "").unwrap();
            become_uid(uid);
            listen(&fd, Backlog::new(8).unwrap()).unwrap();
            daemon::serve(&fd.into());
        }
        ["bus", ref rest @ ..] => {
            // Opened while root: the calls are noted there.
            std::fs::write(daemon::CALLS, "").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            std::fs::set_permissions(daemon::CALLS, mode).unwrap();
            let ready = std::fs::File::create("/run/ready.bus").unwrap();
            if let [uid] = rest {
                become_uid(uid);
            }
            zbus::block_on(daemon::serve_on_bus(&ready));
        }
        _ => unreachable!("no such role"),
    }
}
