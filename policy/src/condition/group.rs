//! `group`: a group, primary or supplementary, that the account is in.

use std::borrow::Cow;

use super::{Kind, Offer, named::Naming};
use crate::{Known, fact::Fact, truth::Truth};

pub(super) const KIND: Kind = Kind {
    key: "group",
    read: |value, reader| GROUP.read(value, reader),
    found: |request| {
        let groups = request.groups.known();
        match groups {
            None => "not known".to_owned(),
            Some([]) => "none".to_owned(),
            Some(groups) => groups.join(", "),
        }
    },
    offer: Some(|request, index| {
        index(match request.groups {
            Known::Unknown => Offer::Unknown,
            Known::Is(groups) => Offer::Names(groups.iter().map(Cow::from).collect()),
        });
    }),
};

static GROUP: Naming = Naming {
    fact: Fact::Groups,
    sole: false,
    truth: |names, request, _| match request.groups {
        Known::Unknown => Truth::Unknown,
        Known::Is(groups) => groups.iter().any(|group| names.matches(group)).into(),
    },
};
