//! Writes small databases in the format of `MaxMind` (its DB File Format Specification 2.0), to look addresses up in. For
//! tests only: it keeps everything in memory and shares no data. The unit tests of `mfad` use this file too.

use std::net::IpAddr;

/// Zero bits before an IPv4 address in a tree of IPv6 ones.
const V4_PREFIX: usize = 96;

/// A value of the data section.
#[derive(Debug, Clone)]
pub enum Value {
    /// UTF-8.
    Text(String),
    /// 64 bits.
    Double(f64),
    /// 32 bits.
    Float(f32),
    /// An unsigned number, of the type with so many bits (16, 32 or 64).
    Number(u16, u64),
    /// Keys and values.
    Map(Vec<(&'static str, Value)>),
    /// Values.
    Array(Vec<Value>),
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A record of `GeoLite2`-Country.
    pub fn geolite2_country(code: &str) -> Self {
        Self::Map(vec![(
            "country",
            Self::Map(vec![("iso_code", Self::text(code))]),
        )])
    }

    /// A record of `GeoLite2`-City.
    pub fn geolite2_city(code: &str, latitude: f64, longitude: f64, radius: u16) -> Self {
        let location = Self::Map(vec![
            ("accuracy_radius", Self::Number(16, radius.into())),
            ("latitude", Self::Double(latitude)),
            ("longitude", Self::Double(longitude)),
            ("time_zone", Self::text("Etc/UTC")),
        ]);
        let country = Self::Map(vec![
            ("geoname_id", Self::Number(32, 2_658_434)),
            ("iso_code", Self::text(code)),
        ]);
        Self::Map(vec![("country", country), ("location", location)])
    }

    /// A record of a database with a flat `country_code`.
    pub fn flat(code: &str) -> Self {
        Self::Map(vec![("country_code", Self::text(code))])
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                head(bytes, 2, text.len());
                bytes.extend(text.bytes());
            }
            Self::Double(number) => {
                head(bytes, 3, 8);
                bytes.extend(number.to_be_bytes());
            }
            Self::Float(number) => {
                head(bytes, 15, 4);
                bytes.extend(number.to_be_bytes());
            }
            Self::Number(bits, number) => {
                let significant = number
                    .to_be_bytes()
                    .into_iter()
                    .skip_while(|byte| *byte == 0);
                let significant: Vec<u8> = significant.collect();
                let kind = match bits {
                    16 => 5,
                    32 => 6,
                    _ => 9,
                };
                head(bytes, kind, significant.len());
                bytes.extend(significant);
            }
            Self::Map(entries) => {
                head(bytes, 7, entries.len());
                for (key, value) in entries {
                    Self::text(key).write(bytes);
                    value.write(bytes);
                }
            }
            Self::Array(values) => {
                head(bytes, 11, values.len());
                for value in values {
                    value.write(bytes);
                }
            }
        }
    }
}

/// A control byte, of sizes below 285.
fn head(bytes: &mut Vec<u8>, kind: u8, size: usize) {
    let short = u8::try_from(size.min(29)).unwrap_or(29);
    if kind <= 7 {
        bytes.push(kind << 5 | short);
    } else {
        bytes.extend([short, kind - 7]);
    }
    if size >= 29 {
        bytes.push(u8::try_from(size - 29).unwrap_or(u8::MAX));
    }
}

/// Where a record of the tree leads.
#[derive(Debug, Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A database to be written.
#[derive(Debug, Clone)]
pub struct Database {
    /// 4 or 6.
    pub ip_version: u16,
    /// Bits of a record: 24, 28 or 32.
    pub record_size: u16,
    /// Seconds since the epoch.
    pub built: u64,
    /// What it says it is.
    pub kind: &'static str,
    /// Networks, given by an address and the length of its prefix, and what is known of them. The last of several that
    /// hold an address counts.
    pub networks: Vec<(IpAddr, usize, Value)>,
}

impl Database {
    /// Its bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut nodes = vec![[Record::Nothing; 2]];
        let mut data = Vec::new();
        for (address, prefix, value) in &self.networks {
            let at = data.len();
            value.write(&mut data);
            insert(&mut nodes, &self.path(*address, *prefix), Record::Data(at));
        }
        let mut bytes = Vec::new();
        for [left, right] in &nodes {
            let number = |record: &Record| match record {
                Record::Nothing => nodes.len(),
                Record::Node(node) => *node,
                Record::Data(at) => nodes.len() + 16 + at,
            };
            self.write_node(&mut bytes, number(left), number(right));
        }
        bytes.extend([0; 16]);
        bytes.extend(data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        self.header(nodes.len()).write(&mut bytes);
        bytes
    }

    fn path(&self, address: IpAddr, prefix: usize) -> Vec<bool> {
        let (bits, zeros): (Vec<u8>, usize) = match address {
            IpAddr::V4(address) if self.ip_version == 6 => (address.octets().to_vec(), V4_PREFIX),
            IpAddr::V4(address) => (address.octets().to_vec(), 0),
            IpAddr::V6(address) => (address.octets().to_vec(), 0),
        };
        let own = (0..prefix).map(|bit| bits[bit / 8] & (0x80 >> (bit % 8)) != 0);
        std::iter::repeat_n(false, zeros).chain(own).collect()
    }

    fn write_node(&self, bytes: &mut Vec<u8>, left: usize, right: usize) {
        let (left, right) = (left.to_be_bytes(), right.to_be_bytes());
        match self.record_size {
            24 => {
                bytes.extend(&left[5..]);
                bytes.extend(&right[5..]);
            }
            28 => {
                bytes.extend(&left[5..]);
                bytes.push(left[4] << 4 | right[4]);
                bytes.extend(&right[5..]);
            }
            _ => {
                bytes.extend(&left[4..]);
                bytes.extend(&right[4..]);
            }
        }
    }

    fn header(&self, nodes: usize) -> Value {
        Value::Map(vec![
            ("node_count", Value::Number(32, nodes as u64)),
            ("record_size", Value::Number(16, self.record_size.into())),
            ("ip_version", Value::Number(16, self.ip_version.into())),
            ("database_type", Value::text(self.kind)),
            ("languages", Value::Array(vec![Value::text("en")])),
            ("binary_format_major_version", Value::Number(16, 2)),
            ("binary_format_minor_version", Value::Number(16, 0)),
            ("build_epoch", Value::Number(64, self.built)),
            (
                "description",
                Value::Map(vec![("en", Value::text("made for a test"))]),
            ),
        ])
    }
}

fn insert(nodes: &mut Vec<[Record; 2]>, path: &[bool], leaf: Record) {
    let Some((last, way)) = path.split_last() else {
        nodes[0] = [leaf; 2];
        return;
    };
    let mut node = 0;
    for bit in way {
        node = match nodes[node][usize::from(*bit)] {
            Record::Node(next) => next,
            // What held for the whole network holds for its halves.
            before @ (Record::Nothing | Record::Data(_)) => {
                nodes.push([before; 2]);
                let next = nodes.len() - 1;
                nodes[node][usize::from(*bit)] = Record::Node(next);
                next
            }
        };
    }
    nodes[node][usize::from(*last)] = leaf;
}
