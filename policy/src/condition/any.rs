//! `any`: one of several tables of conditions holds.

use super::{Kind, branches::Quorum};

pub(super) const KIND: Kind = Kind {
    key: "any",
    read: |value, reader| Quorum::Any.read(value, reader),
    found: |_| String::new(),
    offer: None,
};
