//! `all`: several tables of conditions all hold.

use super::{Kind, branches::Quorum};

pub(super) const KIND: Kind = Kind {
    key: "all",
    read: |value, reader| Quorum::All.read(value, reader),
    found: |_| String::new(),
    offer: None,
};
