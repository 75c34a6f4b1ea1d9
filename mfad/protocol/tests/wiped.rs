//! That what a person typed is wiped from the messages that carry it.

#![cfg(all(feature = "fido", feature = "wire"))]
#![allow(unsafe_code, reason = "a heap of its own")]

mod heap;

use std::io::Cursor;

use heap::{Heap, TYPED, left_by};
use mfad_protocol::{
    fido::{Assert, Pin, Request},
    wire::{Incoming, Outgoing, ROOM},
};
use zbus::Message;
use zeroize::Zeroizing;

#[global_allocator]
static HEAP: Heap = Heap;

/// Answers to a prompt, which a module sends.
fn body() -> (&'static str, Vec<&'static [u8]>) {
    ("session", vec![TYPED.as_bytes(); 3])
}

#[test]
fn a_message_on_its_way_leaves_nothing_and_one_of_zbus_s_own_does() {
    let call = || Message::method_call("/", "Respond");
    let (left, ()) = left_by(|| {
        let sent = Outgoing::call(call(), &body(), ROOM).unwrap();
        let bytes = Zeroizing::new(sent.parts().concat());
        let came = Incoming::read(bytes, Vec::new()).unwrap();
        let contents = came.body();
        let (_, answers): (&str, Vec<&[u8]>) = contents.deserialize().unwrap();
        assert_eq!(answers, body().1);
    });
    assert_eq!(left, 0);
    let (left, ()) = left_by(|| drop(call().build(&body()).unwrap()));
    assert!(left > 0, "the heap is looked at");
}

#[test]
fn a_pin_on_its_way_to_a_key_leaves_nothing() {
    let (left, ()) = left_by(|| {
        let request = Request::Assert(Assert {
            wanted: Vec::new(),
            verify: true,
            pin: Some(Pin::new(Zeroizing::new(TYPED.to_owned()))),
            timeout_ms: 1,
        });
        let mut frame = Zeroizing::new(vec![0; 1024]);
        let mut place = Cursor::new(frame.as_mut_slice());
        serde_json::to_writer(&mut place, &request).unwrap();
        let length = usize::try_from(place.position()).unwrap();
        let Request::Assert(came) = serde_json::from_slice(&frame[..length]).unwrap() else {
            panic!("another request");
        };
        assert_eq!(came.pin.unwrap().reveal(), TYPED);
    });
    assert_eq!(left, 0);
}

#[test]
fn a_pin_may_hold_anything() {
    for pin in ["", "\"\\\n\0", "Schlüssel 鍵"] {
        let pin = Pin::new(Zeroizing::new(pin.to_owned()));
        let text = serde_json::to_vec(&pin).unwrap();
        let came: Pin = serde_json::from_slice(&text).unwrap();
        assert_eq!(came.reveal(), pin.reveal());
    }
    for nonsense in ["\"1\"", "\"zz\"", "\"é\"", "\"ff\"", "7"] {
        assert!(serde_json::from_str::<Pin>(nonsense).is_err(), "{nonsense}");
    }
}
