//! Finds the networks that an address is in: for each length of prefix that occurs, one look-up.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    net::IpAddr,
};

use ipnet::IpNet;

use super::bits::{Bits, Posting};
use crate::condition::Place;

/// Networks, and the rules that have them.
#[derive(Debug, Default)]
pub(super) struct PlaceIndex {
    local: Option<Posting>,
    v4: Prefixes<u32>,
    v6: Prefixes<u128>,
}

/// By the length of the prefix, then by its bits.
type Prefixes<N> = BTreeMap<u8, HashMap<N, Posting>>;

impl PlaceIndex {
    /// Puts a rule's network in. Rules come in order.
    pub(super) fn insert(&mut self, place: Place, rule: u32) {
        match place {
            Place::Local => match &mut self.local {
                Some(posting) => posting.push(rule),
                None => self.local = Some(Posting::One(rule)),
            },
            Place::Net(IpNet::V4(net)) => {
                insert(
                    &mut self.v4,
                    net.prefix_len(),
                    net.network().to_bits(),
                    rule,
                );
            }
            Place::Net(IpNet::V6(net)) => {
                insert(
                    &mut self.v6,
                    net.prefix_len(),
                    net.network().to_bits(),
                    rule,
                );
            }
        }
    }

    /// Takes the form that is quickest, of `count` rules in all.
    pub(super) fn finish(&mut self, count: usize) {
        let v4 = self.v4.values_mut().flat_map(HashMap::values_mut);
        let v6 = self.v6.values_mut().flat_map(HashMap::values_mut);
        for posting in v4.chain(v6).chain(&mut self.local) {
            posting.finish(count);
        }
    }

    /// Puts the rules of every place that a login is in into `found`.
    pub(super) fn find(&self, address: Option<IpAddr>, local: bool, found: &mut Bits) {
        match address {
            Some(IpAddr::V4(address)) => {
                for (length, nets) in &self.v4 {
                    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                    add(nets, address.to_bits() & mask, found);
                }
            }
            Some(IpAddr::V6(address)) => {
                for (length, nets) in &self.v6 {
                    let mask = u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0);
                    add(nets, address.to_bits() & mask, found);
                }
            }
            None => {
                if let Some(posting) = self.local.as_ref().filter(|_| local) {
                    posting.add_to(found);
                }
            }
        }
    }
}

fn insert<N: Hash + Eq>(prefixes: &mut Prefixes<N>, length: u8, bits: N, rule: u32) {
    let posting = prefixes.entry(length).or_default().entry(bits);
    posting
        .and_modify(|posting| posting.push(rule))
        .or_insert(Posting::One(rule));
}

fn add<N: Hash + Eq>(nets: &HashMap<N, Posting>, bits: N, found: &mut Bits) {
    if let Some(posting) = nets.get(&bits) {
        posting.add_to(found);
    }
}
