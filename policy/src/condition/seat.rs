//! `seat`: the seat of this machine that the session is on, in logind's word.

use std::borrow::Cow;

use super::{Kind, Offer, named::Naming};
use crate::{Known, fact::Fact, truth::Truth};

pub(super) const KIND: Kind = Kind {
    key: "seat",
    read: |value, reader| SEAT.read(value, reader),
    found: |request| match request.seat {
        Known::Unknown => "not known".to_owned(),
        Known::Is(seat) => seat.unwrap_or("none").to_owned(),
    },
    offer: Some(|request, index| {
        index(match request.seat {
            Known::Unknown => Offer::Unknown,
            Known::Is(seat) => Offer::Names(seat.into_iter().map(Cow::from).collect()),
        });
    }),
};

static SEAT: Naming = Naming {
    fact: Fact::Seat,
    sole: true,
    truth: |names, request, _| match request.seat {
        Known::Unknown => Truth::Unknown,
        Known::Is(seat) => seat.is_some_and(|seat| names.matches(seat)).into(),
    },
};
