//! `target`: the account that is switched to, where the policy's subject is the one who switches.

use std::borrow::Cow;

use super::{Kind, Offer, named::Naming};
use crate::{fact::Fact, truth::Truth};

pub(super) const KIND: Kind = Kind {
    key: "target",
    read: |value, reader| TARGET.read(value, reader),
    found: |request| request.target.unwrap_or("none named").to_owned(),
    offer: Some(|request, index| {
        index(Offer::Names(
            request.target.into_iter().map(Cow::from).collect(),
        ));
    }),
};

static TARGET: Naming = Naming {
    fact: Fact::Target,
    sole: true,
    truth: |names, request, sense| match request.target {
        // sudo, for one, does not tell.
        None => Truth::unnamed(sense),
        Some(target) => names.matches(target).into(),
    },
};
