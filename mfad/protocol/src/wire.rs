//! One D-Bus message of a login socket, to send or as it came, whose body is wiped when it is dropped: it may hold a code or
//! a PIN. It sends and reads nothing, and knows no method.
//!
//! zbus makes and reads headers and bodies, but a message of its own has its body in memory that grows while it is written
//! (each time leaving a copy behind), and frees it as it is. So what zbus gets to keep here is the header alone.

use std::{
    io::Cursor,
    os::fd::{AsFd as _, OwnedFd},
};

use serde::Serialize;
use zbus::{
    Fd, Message, Signature,
    message::{Builder, Header, Type},
    wire::{
        DynamicDeserialize, DynamicType, Endian,
        serialized::{Context, Data},
        to_writer_for_signature,
    },
};
use zeroize::Zeroizing;

/// Length of the fixed part of a D-Bus header, up to and with the length of its fields.
pub const FIXED_HEADER: usize = 16;

/// Room for the body of a call or an answer with nothing in it that was typed, in bytes; most need no more.
pub const ROOM: usize = 512;

/// Where the body of a message begins and where it ends, by its fixed header (D-Bus specification, "Message Format"). `None`
/// if it is none.
pub fn extent(fixed: &[u8]) -> Option<(usize, usize)> {
    let endian = byte_order(fixed)?;
    let word = |at: usize| -> Option<usize> {
        let bytes: [u8; 4] = fixed.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(endian.read_u32(&bytes)).ok()
    };
    let body = FIXED_HEADER
        .checked_add(word(12)?)?
        .checked_next_multiple_of(8)?;
    Some((body, body.checked_add(word(4)?)?))
}

fn byte_order(bytes: &[u8]) -> Option<Endian> {
    match bytes.first()? {
        b'l' => Some(Endian::Little),
        b'B' => Some(Endian::Big),
        _ => None,
    }
}

/// A message to send.
#[derive(Debug)]
pub struct Outgoing {
    /// The whole message, but for its body, which is zeros.
    head: Message,
    body: Body,
}

/// Bytes that are wiped, and that no Debug shows.
struct Body(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Outgoing {
    /// A call, whose body has so much room, in bytes: one that needs more grows, and leaves copies behind.
    pub fn call<B: Serialize + DynamicType>(
        call: Builder<'_>,
        body: &B,
        room: usize,
    ) -> zbus::Result<Self> {
        Self::build(call, zbus::wire::NATIVE_ENDIAN, body, room)
    }

    /// An answer to the call with this header, in its byte order. It holds nothing that was typed.
    pub fn answer<B: Serialize + DynamicType>(to: &Header<'_>, body: &B) -> zbus::Result<Self> {
        let endian = to.primary().endian_sig().into();
        Self::build(Message::method_return(to), endian, body, ROOM)
    }

    /// An error of that name for an answer.
    pub fn error(to: &Header<'_>, name: &str, text: &str) -> zbus::Result<Self> {
        let endian = to.primary().endian_sig().into();
        Self::build(Message::error(to, name), endian, &(text,), ROOM)
    }

    fn build<B: Serialize + DynamicType>(
        builder: Builder<'_>,
        endian: Endian,
        body: &B,
        room: usize,
    ) -> zbus::Result<Self> {
        let context = Context::new(endian, 0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        // The writer that zbus uses too: for another, all that writes a body would be there twice.
        let mut place = Cursor::new(&mut *bytes);
        let signature = body.signature();
        // SAFETY: the descriptors that the body speaks of are kept in the head, which lives as long as the body.
        let written = unsafe { to_writer_for_signature(&mut place, context, &signature, body) }?;
        let blank = vec![0; bytes.len()];
        // SAFETY: nobody takes the zeros for the body: of the head, only the header's bytes are given away.
        let head = unsafe {
            builder
                .endian(endian)
                .build_raw_body(&blank, signature, written.into_fds())
        }?;
        Ok(Self {
            head,
            body: Body(bytes),
        })
    }

    /// What is to be sent, one after the other.
    pub fn parts(&self) -> [&[u8]; 2] {
        let whole = self.head.data().bytes();
        [&whole[..whole.len() - self.body.0.len()], &self.body.0]
    }

    /// What goes along.
    pub fn descriptors(&self) -> &[Fd<'static>] {
        self.head.data().fds()
    }

    /// By which an answer will name it.
    pub fn serial(&self) -> std::num::NonZeroU32 {
        self.head.primary_header().serial_num()
    }
}

/// A message that came.
#[derive(Debug)]
pub struct Incoming {
    /// The message without its body.
    head: Message,
    /// All of it.
    bytes: Body,
    body: usize,
}

impl Incoming {
    /// What these bytes hold, all of a message; an error if they hold none. The descriptors came with them.
    pub fn read(bytes: Zeroizing<Vec<u8>>, descriptors: Vec<OwnedFd>) -> zbus::Result<Self> {
        let endian = byte_order(&bytes).ok_or(zbus::Error::IncorrectEndian)?;
        let (body, end) = extent(&bytes).ok_or(zbus::Error::OutOfBounds)?;
        if end != bytes.len() {
            return Err(zbus::Error::OutOfBounds);
        }
        let head = Data::new_fds(bytes[..body].to_vec(), Context::new(endian, 0), descriptors);
        // SAFETY: it touches no memory but what it is given, and checks the header as zbus checks whatever it reads from a
        // socket by itself. The body is not in it, and is checked as it is read.
        let head = unsafe { Message::from_bytes(head) }?;
        Ok(Self {
            head,
            bytes: Body(bytes),
            body,
        })
    }

    /// Its header.
    pub fn header(&self) -> Header<'_> {
        self.head.header()
    }

    /// Which kind it is.
    pub fn message_type(&self) -> Type {
        self.head.message_type()
    }

    /// Its body, to be read from. What borrows from it leaves no copy.
    pub fn body(&self) -> Contents<'_> {
        let endian = self.head.data().context().endian();
        let descriptors = self.head.data().fds().iter();
        Contents {
            data: Data::new_borrowed_fds(
                &self.bytes.0[self.body..],
                Context::new(endian, 0),
                descriptors.map(|descriptor| Fd::from(descriptor.as_fd())),
            ),
            signature: self.head.body().signature().clone(),
        }
    }
}

/// The body of a message that came.
pub struct Contents<'m> {
    data: Data<'m, 'm>,
    signature: Signature,
}

impl Contents<'_> {
    /// The values of the body; an error if it holds others.
    pub fn deserialize<'d, B: DynamicDeserialize<'d>>(&'d self) -> zbus::Result<B> {
        let read = self.data.deserialize_for_dynamic_signature(&self.signature);
        read.map(|(values, _)| values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(sent: &Outgoing) -> Incoming {
        let bytes = Zeroizing::new(sent.parts().concat());
        let descriptors = sent.descriptors().iter();
        let descriptors = descriptors.map(|fd| fd.as_fd().try_clone_to_owned().unwrap());
        Incoming::read(bytes, descriptors.collect()).unwrap()
    }

    fn call() -> Builder<'static> {
        Message::method_call("/", "Call")
    }

    #[test]
    fn what_is_sent_is_what_zbus_would_send() {
        let body = ("session", vec![&b"123456"[..], b""], 7_u64);
        let serial = std::num::NonZeroU32::new(9).unwrap();
        for endian in [Endian::Little, Endian::Big] {
            let ours = Outgoing::build(call().serial(serial), endian, &body, 1).unwrap();
            let theirs = call().serial(serial).endian(endian).build(&body).unwrap();
            assert_eq!(ours.parts().concat(), theirs.data().bytes());
            assert_eq!(ours.serial(), serial);
        }
    }

    #[test]
    fn what_came_is_read_with_its_descriptors_and_answered_in_its_byte_order() {
        let (descriptor, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let body = (vec![&b"123456"[..]], vec![Fd::from(descriptor.as_fd())]);
        for endian in [Endian::Little, Endian::Big] {
            let came = received(&Outgoing::build(call(), endian, &body, ROOM).unwrap());
            let contents = came.body();
            let (answers, descriptors): (Vec<&[u8]>, Vec<Fd<'_>>) = contents.deserialize().unwrap();
            assert_eq!((answers, descriptors.len()), (vec![&b"123456"[..]], 1));
            assert!(contents.deserialize::<(u32,)>().is_err());
            let answer = received(&Outgoing::answer(&came.header(), &(true,)).unwrap());
            assert_eq!(answer.message_type(), Type::MethodReturn);
            assert_eq!(answer.bytes.0[0], came.bytes.0[0]);
            assert!(answer.body().deserialize::<bool>().unwrap());
        }
    }

    #[test]
    fn bytes_that_are_no_whole_message_are_refused() {
        let whole = Outgoing::call(call(), &("text",), ROOM)
            .unwrap()
            .parts()
            .concat();
        for length in 0..whole.len() {
            let cut = Zeroizing::new(whole[..length].to_vec());
            assert!(Incoming::read(cut, Vec::new()).is_err(), "{length}");
        }
        let longer = Zeroizing::new([&whole[..], b"x"].concat());
        assert!(Incoming::read(longer, Vec::new()).is_err());
        for at in 0..whole.len() {
            let mut changed = Zeroizing::new(whole.clone());
            changed[at] ^= 0x80;
            // Refused or read, it must not panic.
            if let Ok(read) = Incoming::read(changed, Vec::new()) {
                let _ = read.body().deserialize::<&str>();
            }
        }
    }

    #[test]
    fn debug_shows_no_body() {
        let sent = Outgoing::call(call(), &("271828",), ROOM).unwrap();
        let shown = format!("{sent:?} {:?}", received(&sent));
        assert!(
            !shown.contains("271828") && !shown.contains("50, 55, 49"),
            "{shown}"
        );
    }
}
