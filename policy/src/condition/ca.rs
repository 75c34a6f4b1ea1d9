//! `ca`: the fingerprint of the key that signed the certificate of a verified key.

use super::{Kind, fingerprint::Whose};

const WHOSE: Whose = Whose::Authority;

pub(super) const KIND: Kind = Kind {
    key: "ca",
    read: |value, reader| WHOSE.read(value, reader),
    found: |request| WHOSE.found(request),
    offer: Some(|request, index| WHOSE.offer(request, index)),
};
