//! `network`: the far end's address, or the word `local` for a login that has no far end.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net};

use super::{Condition, Kind};
use crate::{
    Request,
    diagnostic::quoted,
    document::{Findings, QuotedList, Value},
    fact::Fact,
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "network",
    fact: Fact::Network,
    read,
};

/// Bits before the IPv4 address in `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

#[derive(Debug)]
struct Network(Vec<Place>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Local,
    Net(IpNet),
}

fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Box<dyn Condition>> {
    let strings = value.strings(findings)?;
    let count = strings.len();
    let mut places = Vec::with_capacity(count);
    for (text, span) in strings {
        match place(text) {
            Ok(place) => places.push(place),
            Err(fault) => findings.error(span, fault),
        }
    }
    (places.len() == count).then(|| Box::new(Network(places)) as Box<dyn Condition>)
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
        let address = request.address.map(|address| address.to_canonical());
        let listed = self.0.iter().any(|place| match (place, address) {
            // A request that names a far end has one, whatever else it says.
            (Place::Local, None) => request.local,
            (Place::Net(net), Some(address)) => net.contains(&address),
            (Place::Local, Some(_)) | (Place::Net(_), None) => false,
        });
        let told = address.is_some() || request.local;
        match (listed, told) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::No,
            (false, false) => Truth::unnamed(sense),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        QuotedList(&places).fmt(f)
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
