//! One database in the format of `MaxMind` (its DB File Format Specification 2.0), in memory. It opens no file.
//!
//! The format has no checksum. What its header says is checked against the search tree's own shape before it is believed,
//! so that a damaged header makes the database unusable and not wrong.

use std::{fmt, net::IpAddr};

use maxminddb::Reader;
use policy::Known;
use serde::{Deserialize, Deserializer, de::Visitor};

use super::{Country, Position, Whereabouts, centres};

/// Zero bytes between the search tree and the data.
const SEPARATOR: usize = 16;
/// Bits of an IPv4 address, which is how deep a tree of such addresses is at most.
const V4_BITS: u32 = 32;
/// Zero bits that lead to IPv4 addresses in a tree of IPv6 ones.
const V4_PREFIX: u32 = 96;
/// Kilometres around a city's coordinates, where the database tells no radius, and at least.
const USUAL_REACH: u16 = 100;
const LEAST_REACH: u16 = 50;

/// A database that has been checked.
pub(super) struct Database {
    reader: Reader<Vec<u8>>,
    /// Whether it has anything to say of IPv4, and of IPv6.
    serves_v4: bool,
    serves_v6: bool,
    built: i64,
}

/// A record: what `GeoLite2` and `GeoIP2` (Country, City) nest, or what others have flat. Everything else is passed over.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, default)]
    country: Option<Nested<'a>>,
    #[serde(default)]
    country_code: Option<&'a str>,
    #[serde(default)]
    location: Option<Location>,
    #[serde(default)]
    latitude: Option<Degrees>,
    #[serde(default)]
    longitude: Option<Degrees>,
}

#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow, default)]
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    latitude: Option<Degrees>,
    #[serde(default)]
    longitude: Option<Degrees>,
    #[serde(default)]
    accuracy_radius: Option<u16>,
}

/// An angle, in whichever precision a database has it.
#[derive(Clone, Copy)]
struct Degrees(f64);

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Angle;

        impl Visitor<'_> for Angle {
            type Value = Degrees;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("degrees")
            }

            fn visit_f32<E>(self, degrees: f32) -> Result<Degrees, E> {
                Ok(Degrees(degrees.into()))
            }

            fn visit_f64<E>(self, degrees: f64) -> Result<Degrees, E> {
                Ok(Degrees(degrees))
            }
        }

        deserializer.deserialize_any(Angle)
    }
}

impl Database {
    /// Checks a database that was read.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let reader = Reader::from_source(bytes.as_slice())
            .map_err(|error| mfad_protocol::printable(&error.to_string()))?;
        let header = reader.metadata();
        let tree = Tree::new(&bytes, header.node_count, header.record_size)
            .ok_or("the search tree does not end where the header says")?;
        let (serves_v4, serves_v6) = tree
            .serves(header.ip_version)
            .ok_or("the search tree is of another IP version than the header says")?;
        let built = i64::try_from(header.build_epoch).map_err(|_| "it was made in no time")?;
        drop(reader);
        let reader = Reader::from_source(bytes)
            .map_err(|error| mfad_protocol::printable(&error.to_string()))?;
        Ok(Self {
            reader,
            serves_v4,
            serves_v6,
            built,
        })
    }

    /// When it was made, seconds since the epoch.
    pub(super) const fn built(&self) -> i64 {
        self.built
    }

    /// Where a public address is.
    pub(super) fn find(&self, address: IpAddr) -> Whereabouts {
        let serves = match address {
            IpAddr::V4(_) => self.serves_v4,
            IpAddr::V6(_) => self.serves_v6,
        };
        if !serves {
            return Whereabouts::UNKNOWN;
        }
        let found = self.reader.lookup(address).ok();
        // A record that cannot be read says nothing.
        let row = found.and_then(|found| found.decode::<Row<'_>>().ok().flatten());
        row.map_or(Whereabouts::UNKNOWN, |row| row.whereabouts())
    }
}

impl Row<'_> {
    fn whereabouts(&self) -> Whereabouts {
        let nested = self.country.as_ref().and_then(|country| country.iso_code);
        let Some(country) = nested.or(self.country_code).and_then(Country::new) else {
            return Whereabouts::UNKNOWN;
        };
        Whereabouts {
            country: Known::Is(Some(country)),
            position: self.position().or_else(|| centres::of(country)),
        }
    }

    fn position(&self) -> Option<Position> {
        let nested = self.location.as_ref();
        let latitude = nested.and_then(|location| location.latitude);
        let longitude = nested.and_then(|location| location.longitude);
        let told = nested.and_then(|location| location.accuracy_radius);
        let reach = told.unwrap_or(USUAL_REACH).max(LEAST_REACH);
        Position::of(
            latitude.or(self.latitude)?.0,
            longitude.or(self.longitude)?.0,
            reach,
        )
    }
}

/// The search tree: a node is two records, for the next bit 0 and 1. A record below the number of nodes is a node.
struct Tree<'a> {
    bytes: &'a [u8],
    nodes: u32,
    record_size: u16,
}

impl<'a> Tree<'a> {
    /// The tree of that many nodes, if the data begin behind it.
    fn new(bytes: &'a [u8], nodes: u32, record_size: u16) -> Option<Self> {
        let size = (nodes as usize).checked_mul(usize::from(record_size) / 4)?;
        let (tree, rest) = bytes.split_at_checked(size)?;
        let (separator, data) = rest.split_at_checked(SEPARATOR)?;
        // No data begin with a zero byte: the separator is where it should be, to a byte.
        let in_place = separator.iter().all(|byte| *byte == 0) && *data.first()? != 0;
        in_place.then_some(Self {
            bytes: tree,
            nodes,
            record_size,
        })
    }

    /// Whether it serves IPv4 and IPv6 addresses; `None` if it is not one of that version.
    fn serves(&self, ip_version: u16) -> Option<(bool, bool)> {
        match ip_version {
            4 => (!self.is_deeper_than_v4()?).then_some((true, false)),
            6 => {
                let v4 = (0..V4_PREFIX).try_fold(0, |node, _| self.child(node, false));
                // With a way to IPv4, it is deep enough. Without, some network must be longer than an IPv4 address.
                let serves_v4 = v4.is_some();
                (serves_v4 || self.is_deeper_than_v4()?).then_some((serves_v4, true))
            }
            _ => None,
        }
    }

    /// Whether any path has more nodes than an IPv4 address has bits. `None` if it is no tree: paths meet again.
    fn is_deeper_than_v4(&self) -> Option<bool> {
        let mut visited = 0;
        let mut waiting = vec![(0, 1)];
        while let Some((node, depth)) = waiting.pop() {
            visited += 1;
            if depth > V4_BITS {
                return Some(true);
            }
            if visited > self.nodes {
                return None;
            }
            let children = [false, true].map(|bit| self.child(node, bit));
            waiting.extend(
                children
                    .into_iter()
                    .flatten()
                    .map(|child| (child, depth + 1)),
            );
        }
        Some(false)
    }

    /// The node that a bit leads to; `None` if it leads to data, to nothing, or out of the tree.
    fn child(&self, node: u32, bit: bool) -> Option<u32> {
        let size = usize::from(self.record_size) / 4;
        let at = (node as usize).checked_mul(size)?;
        let record = self.bytes.get(at..at.checked_add(size)?)?;
        let number = |high: u8, bytes: &[u8]| {
            bytes.iter().fold(u32::from(high), |number, byte| {
                number << 8 | u32::from(*byte)
            })
        };
        let next = match (record, bit) {
            ([left @ .., _, _, _], false) if size == 6 => number(0, left),
            ([_, _, _, right @ ..], true) if size == 6 => number(0, right),
            // The byte in the middle holds the highest four bits of both.
            ([a, b, c, both, ..], false) if size == 7 => number(both >> 4, &[*a, *b, *c]),
            ([_, _, _, both, right @ ..], true) if size == 7 => number(both & 0xF, right),
            ([left @ .., _, _, _, _], false) if size == 8 => number(0, left),
            ([_, _, _, _, right @ ..], true) if size == 8 => number(0, right),
            _ => return None,
        };
        (next < self.nodes).then_some(next)
    }
}
