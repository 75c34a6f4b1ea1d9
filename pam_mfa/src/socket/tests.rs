//! Connecting, and who listens.

use super::*;
use std::{
    os::unix::net::UnixListener,
    time::{Duration, Instant},
};

fn soon() -> Patience {
    Patience::of(Duration::from_secs(5))
}

#[test]
fn connecting_waits_for_room_in_the_queue_and_no_longer_than_the_deadline() {
    let directory = std::env::temp_dir().join(format!("pam_mfa-dial-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("s");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let name = path.to_str().unwrap();
    let mut queued = vec![dial(name, &mut soon()).unwrap()];
    // Fill what the kernel allows, then expect the wait to end at the deadline.
    let start = Instant::now();
    let error = loop {
        match dial(name, &mut Patience::of(Duration::from_millis(50))) {
            Ok(fd) => queued.push(fd),
            Err(error) => break error,
        }
        assert!(queued.len() < 100);
    };
    assert!(
        matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(dial(name, &mut soon()).is_err());
}

/// Waits until that thread waits in connect(2).
fn until_it_connects(thread: nix::unistd::Pid) {
    let file = format!("/proc/self/task/{thread}/syscall");
    let call = format!("{} ", libc::SYS_connect);
    let until = Instant::now() + Duration::from_mins(1);
    while !std::fs::read_to_string(&file).is_ok_and(|text| text.starts_with(&call)) {
        assert!(Instant::now() < until, "it does not connect");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn who_waits_for_room_keeps_its_place() {
    let directory = std::env::temp_dir().join(format!("pam_mfa-queue-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("s");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let name = path.to_str().unwrap().to_owned();
    let mut queued = Vec::new();
    while let Ok(fd) = dial(&name, &mut Patience::of(Duration::from_millis(1))) {
        queued.push(fd);
    }
    let (sender, came) = std::sync::mpsc::channel();
    let waiting: Vec<_> = (0..4)
        .map(|number| {
            let (name, sender) = (name.clone(), sender.clone());
            let (tell, told) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                tell.send(nix::unistd::gettid()).unwrap();
                let fd = dial(&name, &mut Patience::of(Duration::from_mins(2))).unwrap();
                sender.send(number).unwrap();
                fd
            });
            until_it_connects(told.recv().unwrap());
            thread
        })
        .collect();
    // Longer than a wait in short pieces would keep its place.
    std::thread::sleep(Duration::from_millis(350));
    for number in 0..4 {
        drop(listener.accept().unwrap());
        assert_eq!(came.recv().unwrap(), number);
    }
    for thread in waiting {
        drop(thread.join().unwrap());
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_socket_that_somebody_else_could_have_made_is_not_root_s() {
    let directory = std::env::temp_dir().join(format!("pam_mfa-owner-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("s");
    let _ = std::fs::remove_file(&path);
    let _listener = UnixListener::bind(&path).unwrap();
    let mode = |bits| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(bits);
        std::fs::set_permissions(&directory, permissions).unwrap();
    };
    let name = path.to_str().unwrap();
    let root = nix::unistd::geteuid().is_root();
    mode(0o755);
    assert_eq!(is_roots(name).unwrap(), root);
    mode(0o775);
    assert!(!is_roots(name).unwrap());
    mode(0o757);
    assert!(!is_roots(name).unwrap());
    mode(0o755);
    let link = directory.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(!is_roots(link.to_str().unwrap()).unwrap());
    assert!(is_roots("/nonexistent/pam.sock").is_err());
    std::fs::remove_dir_all(&directory).unwrap();
}
