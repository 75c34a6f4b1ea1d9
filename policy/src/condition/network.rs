//! `network`: the far end's address, or the word `local` for a login that has no far end.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net};

use super::{Condition, Handle, Kind, Meaning, Offer, Reader};
use crate::{
    Request,
    diagnostic::quoted,
    document::Value,
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "network",
    read,
    found: |request| match (request.address, request.local) {
        (Some(address), _) => address.to_canonical().to_string(),
        (None, true) => "local".to_owned(),
        (None, false) => "no address known".to_owned(),
    },
    offer: Some(|request, index| {
        let address = request.address.map(|address| address.to_canonical());
        index(Offer::Place(address, request.local));
    }),
};

/// Bits before the IPv4 address in `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

#[derive(Debug)]
struct Network {
    /// As they were written.
    places: Vec<Place>,
    local: bool,
    /// First and last addresses, in order and apart. An IPv4 address is its number; IPv6 has a list of its own.
    v4: Ranges,
    v6: Ranges,
}

/// A far end's network, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// There is no far end.
    Local,
    /// It is in this network.
    Net(IpNet),
}

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let strings = value.strings(reader.findings)?;
    let count = strings.len();
    let mut seen = HashSet::with_capacity(count);
    let mut places = Vec::with_capacity(count);
    for (text, span) in strings {
        match place(text) {
            Ok(place) if seen.insert(place) => places.push(place),
            Ok(_) => {
                let message = format!("{} is listed twice", quoted(text));
                reader.findings.error(span, message);
            }
            Err(fault) => reader.findings.error(span, fault),
        }
    }
    (places.len() == count).then(|| Box::new(Network::of(places)) as Box<dyn Condition>)
}

impl Network {
    fn of(places: Vec<Place>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for place in &places {
            match place {
                Place::Local => {}
                Place::Net(IpNet::V4(net)) => {
                    let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                    v4.push((u128::from(first), u128::from(last)));
                }
                Place::Net(IpNet::V6(net)) => {
                    v6.push((net.network().to_bits(), net.broadcast().to_bits()));
                }
            }
        }
        Self {
            local: places.contains(&Place::Local),
            places,
            v4: Ranges::of(v4),
            v6: Ranges::of(v6),
        }
    }
}

/// Ranges in order, none of which touches another: a list of 100,000 networks is asked in 17 steps.
#[derive(Debug)]
struct Ranges(Box<[(u128, u128)]>);

impl Ranges {
    fn of(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
        Self(ranges.into())
    }

    fn contains(&self, number: u128) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        let before = after.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|(_, last)| number <= *last)
    }
}

fn place(text: &str) -> Result<Place, String> {
    if text == "local" {
        return Ok(Place::Local);
    }
    let net = net(text).ok_or_else(|| {
        format!(
            "{} is no network; write ADDRESS/PREFIX such as 10.20.0.0/16 or 2001:db8::/32, one address, or the word \"local\"",
            quoted(text)
        )
    })?;
    let net = unmapped(net);
    if net.trunc() != net {
        return Err(format!(
            "{} has bits set beyond its prefix; the network is {}",
            quoted(text),
            net.trunc()
        ));
    }
    Ok(Place::Net(net))
}

/// An address with or without a prefix. Parsed by the standard library, which refuses `010.0.0.0`: is that 10 or 8?
fn net(text: &str) -> Option<IpNet> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = prefix.parse().ok().filter(|_| digits)?;
    IpNet::new(address.parse().ok()?, prefix).ok()
}

/// The IPv4 network that an IPv4-mapped one is.
fn unmapped(net: IpNet) -> IpNet {
    match (net.addr(), net.prefix_len().checked_sub(MAPPED_PREFIX)) {
        (IpAddr::V6(address), Some(prefix)) => mapped_net(address, prefix).map_or(net, IpNet::V4),
        _ => net,
    }
}

fn mapped_net(address: Ipv6Addr, prefix: u8) -> Option<Ipv4Net> {
    Ipv4Net::new(address.to_ipv4_mapped()?, prefix).ok()
}

impl Condition for Network {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        match request.address.map(|address| address.to_canonical()) {
            // A request that names a far end has one, whatever else it says.
            Some(IpAddr::V4(address)) => self.v4.contains(address.to_bits().into()).into(),
            Some(IpAddr::V6(address)) => self.v6.contains(address.to_bits()).into(),
            None if request.local => self.local.into(),
            None => Truth::unnamed(sense),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Network)
    }

    fn meaning(&self) -> Meaning<'_> {
        let local = self.local.then_some((2, 0, 0));
        let spaces = [(0, &self.v4), (1, &self.v6)];
        let spans = spaces.into_iter().flat_map(|(space, ranges)| {
            let ranges = ranges.0.iter();
            ranges.map(move |(first, last)| (space, *first, *last))
        });
        Meaning::Spans(spans.chain(local).collect())
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Places(Cow::Borrowed(&self.places))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, place) in self.places.iter().enumerate() {
            let before = if position == 0 { "[" } else { ", " };
            write!(f, "{before}\"{place}\"")?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Net(net) => net.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_mapped_network_is_the_ipv4_network() {
        for (written, printed) in [
            ("10.20.0.0/16", "10.20.0.0/16"),
            ("::ffff:10.20.0.0/112", "10.20.0.0/16"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1", "::1"),
            ("::/0", "::/0"),
            ("local", "local"),
        ] {
            assert_eq!(
                place(written).map(|place| place.to_string()),
                Ok(printed.into())
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.1.2.3/8",
            "example.org",
            "2001:db8::/129",
            "10.0.0.0/-1",
            "10.0.0.0/ 8",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "010.0.0.0/8",
            "fe80::1%eth0",
            "Local",
            "2001:db8::1/32",
            "::ffff:10.1.2.3/104",
        ] {
            assert!(place(text).is_err(), "{text:?}");
        }
    }
}
