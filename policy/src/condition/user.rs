//! `user`: the name of the account that is logged in to.

use super::{Kind, Offer, named::Naming};
use crate::fact::Fact;

pub(super) const KIND: Kind = Kind {
    key: "user",
    read: |value, reader| USER.read(value, reader),
    found: |request| request.user.to_owned(),
    offer: Some(|request, index| index(Offer::Names(vec![request.user.into()]))),
};

static USER: Naming = Naming {
    fact: Fact::User,
    sole: true,
    truth: |names, request, _| names.matches(request.user).into(),
};
