//! `device`: whether the account has come with this device before.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Kind, Meaning, Offer, Reader, words};
use crate::{
    Device, Known, Request,
    document::Value,
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "device",
    read,
    found: |request| {
        let device = request.device.known();
        device.map_or("not known", word).to_owned()
    },
    offer: Some(|request, index| {
        index(match request.device {
            Known::Unknown => Offer::Unknown,
            Known::Is(device) => Offer::Names(vec![word(device).into()]),
        });
    }),
};

const ALL: [(&str, Device); 2] = [("known", Device::Known), ("new", Device::New)];

const fn word(device: Device) -> &'static str {
    match device {
        Device::Known => "known",
        Device::New => "new",
    }
}

#[derive(Debug)]
struct Is(Device);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let text = value.string(reader.findings)?;
    let Some((_, device)) = ALL.iter().find(|(word, _)| *word == text) else {
        let message = words::unknown(value.key(), text, &ALL);
        value.error(reader.findings, message);
        return None;
    };
    Some(Box::new(Is(*device)))
}

impl Condition for Is {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.device {
            Known::Unknown => Truth::Unknown,
            Known::Is(device) => (device == self.0).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Device)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), true)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Owned(vec![word(self.0).to_owned()]))
    }
}

impl fmt::Display for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", word(self.0))
    }
}
