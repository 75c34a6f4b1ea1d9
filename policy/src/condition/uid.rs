//! `uid`: the account's number, or a range of numbers.

use std::{borrow::Cow, collections::HashSet, fmt, net::Ipv4Addr, ops::Range};

use ipnet::{IpNet, Ipv4Subnets};

use super::{Condition, Handle, Kind, Meaning, Offer, Place, Reader};
use crate::{
    Request,
    diagnostic::quoted,
    document::{QuotedList, Value},
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "uid",
    read,
    found: |request| {
        let uid = request.uid;
        uid.map_or_else(|| "not known".to_owned(), |uid| uid.to_string())
    },
    offer: Some(|request, index| {
        index(match request.uid {
            None => Offer::Unknown,
            Some(uid) => Offer::Place(Some(Ipv4Addr::from_bits(uid).into()), false),
        });
    }),
};

/// The greatest uid: -1 is "no uid" to the kernel.
const GREATEST: u32 = u32::MAX - 1;

#[derive(Debug)]
struct Uid(Vec<Numbers>);

/// First and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Numbers(u32, u32);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let values: Vec<Value<'_>> = match value.as_array() {
        Some(list) => list.collect(),
        None => vec![value],
    };
    if values.is_empty() {
        value.error(
            reader.findings,
            "`uid` is an empty list: it would match nothing",
        );
        return None;
    }
    let mut seen = HashSet::with_capacity(values.len());
    let mut ranges = Vec::with_capacity(values.len());
    for value in values {
        let numbers = one(value, reader)?;
        if !seen.insert(numbers) {
            value.error(
                reader.findings,
                format!("{} is listed twice", quoted(&numbers.to_string())),
            );
            return None;
        }
        ranges.push(numbers);
    }
    Some(Box::new(Uid(ranges)))
}

fn one(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Numbers> {
    let Some(text) = value.as_str() else {
        let uid = value.integer(0..=GREATEST, reader.findings)?;
        return Some(Numbers(uid, uid));
    };
    let numbers = numbers(text);
    numbers
        .map_err(|fault| value.error(reader.findings, fault))
        .ok()
}

fn numbers(text: &str) -> Result<Numbers, String> {
    let wrong = || {
        format!(
            "`uid` cannot be {}; write a number, a range such as \"1000..59999\", \">= 1000\" or \"<= 999\"",
            quoted(text)
        )
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|uid| *uid <= GREATEST);
        number.filter(|_| digits).ok_or_else(wrong)
    };
    let Range { start, end } = if let Some(low) = text.strip_prefix(">=") {
        number(low.trim_start())?..GREATEST
    } else if let Some(high) = text.strip_prefix("<=") {
        0..number(high.trim_start())?
    } else if let Some((low, high)) = text.split_once("..") {
        number(low)?..number(high)?
    } else {
        number(text)?..number(text)?
    };
    if start > end {
        return Err(format!(
            "the range {} is reversed: it would match nothing",
            quoted(text)
        ));
    }
    Ok(Numbers(start, end))
}

impl Condition for Uid {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        let within = |uid| {
            self.0
                .iter()
                .any(|range| (range.0..=range.1).contains(&uid))
        };
        request.uid.map_or(Truth::Unknown, |uid| within(uid).into())
    }

    fn meaning(&self) -> Meaning<'_> {
        let spans = self.0.iter();
        Meaning::Spans(
            spans
                .map(|numbers| (0, numbers.0.into(), numbers.1.into()))
                .collect(),
        )
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Uid)
    }

    /// A uid has 32 bits, as an IPv4 address has, and a range of them is a few networks: so one index serves both.
    fn handle(&self) -> Handle<'_> {
        let networks = self.0.iter().flat_map(|range| {
            let (first, last) = (Ipv4Addr::from_bits(range.0), Ipv4Addr::from_bits(range.1));
            Ipv4Subnets::new(first, last, 0)
        });
        let places = networks.map(|network| Place::Net(IpNet::V4(network)));
        Handle::Places(Cow::Owned(places.collect()))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        QuotedList(&ranges).fmt(f)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(low, high) if low == high => low.fmt(f),
            Self(low, GREATEST) => write!(f, ">= {low}"),
            Self(low, high) => write!(f, "{low}..{high}"),
        }
    }
}
