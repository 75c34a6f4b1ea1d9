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
