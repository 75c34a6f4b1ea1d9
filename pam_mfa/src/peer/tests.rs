//! Where a message ends, which answer is the call's, and how long one is waited for.

use super::*;
use crate::heap::{TYPED, left_by};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};
use zbus::message::Header;

fn soon() -> Patience {
    Patience::of(Duration::from_secs(5))
}

fn pair() -> (Peer, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Peer::new(ours.into()), theirs)
}

/// Reads a call, and passes it to `answer`, which says what to write.
fn daemon(mut socket: UnixStream, answer: impl FnOnce(&Incoming) -> Vec<u8> + Send + 'static) {
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(vec![0; FIXED_HEADER]);
        socket.read_exact(&mut bytes).unwrap();
        let length = message_length(&bytes).unwrap();
        bytes.resize(length, 0);
        socket.read_exact(&mut bytes[FIXED_HEADER..]).unwrap();
        // One byte at a time: messages arrive in pieces.
        for byte in answer(&Incoming::read(bytes, Vec::new()).unwrap()) {
            socket.write_all(&[byte]).unwrap();
        }
    });
}

fn answer(call: &Header<'_>, text: &str) -> Vec<u8> {
    let message = Message::method_return(call).build(&(text,));
    message.unwrap().data().to_vec()
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
    let most = u32::try_from(limits::WIRE_MESSAGE - FIXED_HEADER).unwrap();
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
fn the_answer_is_what_answers_this_call_and_an_error_is_a_refusal() {
    let (peer, theirs) = pair();
    daemon(theirs, |call| {
        let other = Message::method_call("/", "Other").build(&()).unwrap();
        let stray = answer(&other.header(), "another's");
        [other.data().to_vec(), stray, answer(&call.header(), "this")].concat()
    });
    let reply = peer.call("Begin", &("x",), ROOM, &mut soon()).unwrap();
    assert_eq!(reply.body().deserialize::<String>().unwrap(), "this");

    let (peer, theirs) = pair();
    daemon(theirs, |call| {
        let error = Message::error(&call.header(), "org.freedesktop.DBus.Error.NoReply");
        error.build(&("no",)).unwrap().data().to_vec()
    });
    let refused = peer.call("Begin", &("x",), ROOM, &mut soon()).unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)), "{refused}");
}

#[test]
fn silence_lasts_until_the_deadline_and_a_closed_connection_not_so_long() {
    let (peer, theirs) = pair();
    let start = Instant::now();
    let late = peer.call(
        "Begin",
        &("x",),
        ROOM,
        &mut Patience::of(Duration::from_millis(50)),
    );
    assert_eq!(late.unwrap_err(), Failure::Elapsed);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(2));
    drop(theirs);
    let gone = peer.call("Begin", &("x",), ROOM, &mut soon()).unwrap_err();
    assert!(matches!(gone, Failure::Unreachable(_)), "{gone}");
}

#[test]
fn a_daemon_that_never_stops_talking_does_not_outlast_the_deadline() {
    let (peer, mut theirs) = pair();
    let chatter = Message::method_call("/", "Chatter").build(&()).unwrap();
    std::thread::spawn(move || while theirs.write_all(chatter.data().bytes()).is_ok() {});
    let start = Instant::now();
    let late = peer.call(
        "Begin",
        &("x",),
        ROOM,
        &mut Patience::of(Duration::from_millis(50)),
    );
    assert_eq!(late.unwrap_err(), Failure::Elapsed);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    for bytes in [
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        prefix(b'l', 100 << 20, 0),
        [prefix(b'l', 8, 0), vec![0xFF; 8]].concat(),
    ] {
        let (peer, theirs) = pair();
        daemon(theirs, |_| bytes);
        let refused = peer.call("Begin", &("x",), ROOM, &mut soon()).unwrap_err();
        assert!(matches!(refused, Failure::Malformed(_)), "{refused}");
    }
}

#[test]
fn a_cancel_waits_for_nothing_not_even_for_room() {
    let (peer, _full) = pair();
    let start = Instant::now();
    for _ in 0..10_000 {
        peer.send("Cancel", &("x",));
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_was_typed_is_wiped_once_it_is_sent() {
    let (peer, mut theirs) = pair();
    let answers = vec![TYPED.as_bytes(); 3];
    let (left, sent) = left_by(|| {
        peer.call(
            "Respond",
            &("session", answers),
            ROOM,
            &mut Patience::of(Duration::ZERO),
        )
    });
    assert_eq!((left, sent.unwrap_err()), (0, Failure::Elapsed));
    let mut bytes = [0; 512];
    let length = theirs.read(&mut bytes).unwrap();
    let holds = |window: &[u8]| window == TYPED.as_bytes();
    let count = bytes[..length]
        .windows(TYPED.len())
        .filter(|window| holds(window));
    assert_eq!(count.count(), 3, "it was sent");
}
