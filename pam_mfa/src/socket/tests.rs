//! Connecting, who listens, and where one message ends.

use super::*;
use std::{
    io::Write,
    os::unix::net::{UnixListener, UnixStream},
    time::Duration,
};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn prefix(endian: u8, body: u32, fields: u32) -> Vec<u8> {
    let mut bytes = vec![endian, 1, 0, 1];
    let word = |n: u32| {
        if endian == b'l' {
            n.to_le_bytes()
        } else {
            n.to_be_bytes()
        }
    };
    bytes.extend(word(body));
    bytes.extend(word(1));
    bytes.extend(word(fields));
    bytes
}

#[test]
fn the_length_of_a_message_is_read_in_either_byte_order() {
    for endian in [b'l', b'B'] {
        assert_eq!(message_length(&prefix(endian, 8, 0)).unwrap(), 24);
        assert_eq!(message_length(&prefix(endian, 1, 9)).unwrap(), 33);
    }
}

#[test]
fn a_message_larger_than_any_is_refused_before_memory_is_set_aside() {
    let most = u32::try_from(limits::WIRE_MESSAGE - PREFIX).unwrap();
    assert!(message_length(&prefix(b'l', most, 0)).is_ok());
    for (body, fields) in [
        (most + 1, 0),
        (u32::MAX, 0),
        (0, u32::MAX),
        (most, 8),
        (u32::MAX, u32::MAX),
    ] {
        assert!(message_length(&prefix(b'l', body, fields)).is_err());
    }
    assert!(message_length(&prefix(b'x', 0, 0)).is_err());
    assert!(message_length(b"l").is_err());
}

#[test]
fn messages_that_arrive_together_or_in_pieces_are_handed_on_one_by_one() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let runtime = Runtime::new();
    let (mut reader, _writer) = PeerSocket::new(&runtime, ours.into()).split().take();
    let mut first = prefix(b'l', 4, 0);
    first.extend(b"abcd");
    let mut second = prefix(b'l', 2, 0);
    second.extend(b"ef");
    theirs.write_all(&first).unwrap();
    theirs.write_all(&second[..10]).unwrap();
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        let mut at = 0;
        while at < length {
            let (count, fds) = runtime
                .block_on(soon(), reader.recvmsg(&mut bytes[at..]))
                .unwrap()
                .unwrap();
            assert!(count > 0 && fds.is_empty());
            at += count;
        }
        bytes
    };
    assert_eq!(take(20), first);
    theirs.write_all(&second[10..]).unwrap();
    assert_eq!(take(18), second);
    drop(theirs);
    let end = runtime
        .block_on(soon(), reader.recvmsg(&mut [0; 16]))
        .unwrap();
    assert_eq!(end.unwrap().0, 0);
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
    let mut queued = vec![dial(name, soon()).unwrap()];
    // Fill what the kernel allows, then expect the wait to end at the deadline.
    let start = Instant::now();
    let error = loop {
        match dial(name, Instant::now() + Duration::from_millis(50)) {
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
    assert!(dial(name, soon()).is_err());
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
