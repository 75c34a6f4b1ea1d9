//! `tty`: the terminal, as the application names it.

use std::borrow::Cow;

use super::{Condition, Kind, Offer, Reader, named::Naming};
use crate::{document::Value, fact::Fact, truth::Truth};

pub(super) const KIND: Kind = Kind {
    key: "tty",
    read,
    found: |request| request.tty.map_or("none named", short).to_owned(),
    offer: Some(|request, index| {
        let tty = request.tty.map(short);
        index(Offer::Names(tty.into_iter().map(Cow::from).collect()));
    }),
};

static TTY: Naming = Naming {
    fact: Fact::Tty,
    sole: true,
    truth: |names, request, sense| match request.tty {
        None => Truth::unnamed(sense),
        Some(tty) => names.matches(short(tty)).into(),
    },
};

/// Applications disagree on whether the directory belongs to the name.
fn short(tty: &str) -> &str {
    tty.strip_prefix("/dev/").unwrap_or(tty)
}

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let strings = value.strings(reader.findings)?;
    for (text, span) in strings {
        if let Some(short) = text.strip_prefix("/dev/") {
            let message = format!("terminals are named without /dev/: {short:?}");
            reader.findings.error(span, message);
            return None;
        }
    }
    TTY.read(value, reader)
}
