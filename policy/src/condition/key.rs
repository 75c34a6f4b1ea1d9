//! `key`: the fingerprint of a public key that sshd verified.

use super::{Kind, fingerprint::Whose};

const WHOSE: Whose = Whose::Key;

pub(super) const KIND: Kind = Kind {
    key: "key",
    read: |value, reader| WHOSE.read(value, reader),
    found: |request| WHOSE.found(request),
    offer: Some(|request, index| WHOSE.offer(request, index)),
};
