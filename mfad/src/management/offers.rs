//! Factors offered to their owners and not yet confirmed. In memory only: an offer forgotten was never stored.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use zeroize::Zeroizing;

use crate::{
    clock::Now,
    factor::{backup::Set, otp::Generator},
    fairness::{Place, taken},
    session::registry::random_id,
    ssh::key::PublicKey,
    store::{Kind, PersonKey},
};

/// How long an offer waits, in seconds.
const LIFETIME: i64 = 15 * 60;
/// Most offers at once, of everybody and of one person. Nobody is refused: where there is no room, the oldest offer of
/// whoever has most is withdrawn. So fewer than `CAPACITY` accounts, whatever they do, take nobody's only offer away.
const CAPACITY: usize = 8192;
const OF_ONE: usize = 4;
/// How long an offer may be out, in seconds: longer than confirming any of them takes. Where it was never put back, its owner
/// has gone.
const LONGEST_OUT: i64 = 150;
/// Wrong codes forgiven: the secret has been shown, so there is nothing to guess.
const TRIES: u8 = 5;

/// An offer.
pub struct Offer {
    /// Whose.
    pub person: PersonKey,
    /// What its owner will call it, if they said.
    pub name: Option<String>,
    /// What is offered.
    pub what: Offered,
    /// Whether it was offered to somebody without a factor, who had none to prove.
    pub only_first: bool,
    tries_left: u8,
}

impl Offer {
    /// An offer to a person who has proven a factor, or has none (`only_first`).
    pub fn new(person: PersonKey, name: Option<String>, what: Offered, only_first: bool) -> Self {
        Self {
            person,
            name,
            what,
            only_first,
            tries_left: TRIES,
        }
    }
}

/// What is offered.
pub enum Offered {
    /// A generator of codes.
    Otp(Kind, Generator),
    /// A set of backup codes, with their digests in order.
    Backup(Set, Zeroizing<Vec<[u8; 32]>>),
    /// An SSH key of this kind: this one, or whichever the person's agent holds.
    SshKey(Kind, Option<PublicKey>),
    /// A security key of this machine.
    Fido2(super::fido2::Terms),
}

/// An offer's place. It is kept while the offer is out: being confirmed, which may take as long as an agent pleases.
struct Held {
    person: PersonKey,
    expires: i64,
    offer: Option<Offer>,
    /// Until when it may be out, where it is.
    out_until: i64,
}

impl Held {
    /// Whether it may be withdrawn for another.
    const fn may_go(&self, now: Now) -> bool {
        self.offer.is_some() || self.out_until <= now.steady
    }
}

/// All offers.
pub struct Offers {
    open: Mutex<HashMap<String, Held>>,
    capacity: usize,
}

impl Default for Offers {
    fn default() -> Self {
        Self::of(CAPACITY)
    }
}

impl Offers {
    /// At most `capacity` of them.
    fn of(capacity: usize) -> Self {
        Self {
            open: Mutex::default(),
            capacity,
        }
    }

    /// Files an offer under a new id; `None` if there is no randomness, or the person confirms as many as they may have.
    pub fn file(&self, offer: Offer, now: Now) -> Option<String> {
        let id = random_id()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, held| held.expires > now.steady);
        let uid = offer.person.uid;
        let own = open.values().filter(|other| other.person.uid == uid);
        if own.count() >= OF_ONE {
            withdraw_one(&mut open, |other| {
                other.may_go(now) && other.person.uid == uid
            })?;
        } else if open.len() >= self.capacity {
            withdraw_one(&mut open, |other| other.may_go(now))?;
        }
        let held = Held {
            person: offer.person.clone(),
            expires: now.steady + LIFETIME,
            offer: Some(offer),
            out_until: 0,
        };
        open.insert(id.clone(), held);
        Some(id)
    }

    /// Takes an offer out, if it is this person's and has tries left. Its place is kept until it is put back or closed.
    pub fn take(&self, id: &str, uid: u32, now: Now) -> Option<Offer> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.get_mut(id)?;
        let usable = held.person.uid == uid && held.expires > now.steady;
        if !usable {
            return None;
        }
        held.out_until = now.steady + LONGEST_OUT;
        held.offer.take()
    }

    /// Puts an offer back after a wrong code, unless it has been forgotten meanwhile; says how many tries are left.
    pub fn put_back(&self, id: &str, mut offer: Offer) -> u8 {
        offer.tries_left = offer.tries_left.saturating_sub(1);
        let left = offer.tries_left;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(id) {
            Some(held) if left > 0 => {
                held.offer = Some(offer);
                left
            }
            _ => {
                open.remove(id);
                0
            }
        }
    }

    /// Gives up the place of an offer that was taken out and is proven. `false` if it has been forgotten meanwhile: then
    /// what it was made with is gone, and nothing may come of it.
    #[must_use]
    pub fn close(&self, id: &str) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(id).is_some()
    }

    /// Withdraws all offers to a person, also those that are out: what they had proven for them is gone.
    pub fn forget(&self, name: &str) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, held| held.person.name != name);
    }

    /// Withdraws an offer. One that is out ends by itself.
    pub fn withdraw(&self, id: &str, uid: u32) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open
            .get(id)
            .is_some_and(|held| held.person.uid == uid && held.offer.is_some())
        {
            open.remove(id);
        }
    }

    /// Whether any offer waits; the daemon does not exit under it.
    pub fn is_empty(&self, now: Now) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, held| held.expires > now.steady);
        open.is_empty()
    }
}

/// Withdraws the oldest offer of whoever has most of these. `None` if all of them are out, where none can be withdrawn: who
/// confirms them holds descriptors and memory as long as that takes.
fn withdraw_one(open: &mut HashMap<String, Held>, of_these: impl Fn(&Held) -> bool) -> Option<()> {
    let places = open.iter().filter(|(_, held)| of_these(held));
    let places = places.map(|(id, held)| Place {
        holder: held.person.uid,
        age: held.expires,
        key: id,
    });
    let id = taken(places).cloned()?;
    open.remove(&id).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::otp::Hash;

    const NOW: Now = Now {
        wall: 0,
        steady: 0,
        boot: 0,
    };

    fn file(offers: &Offers, uid: u32) -> Option<String> {
        file_at(offers, uid, 0)
    }

    fn file_at(offers: &Offers, uid: u32, steady: i64) -> Option<String> {
        let person = PersonKey {
            realm: "local".into(),
            name: format!("u{uid}"),
            uid,
        };
        let generator = Generator::generate(Kind::Totp, Hash::Sha1, 6, 30).unwrap();
        let what = Offered::Otp(Kind::Totp, generator);
        offers.file(Offer::new(person, None, what, true), Now { steady, ..NOW })
    }

    #[test]
    fn an_offer_is_its_owners_only() {
        let offers = Offers::default();
        let id = file(&offers, 1000).unwrap();
        assert!(offers.take(&id, 1001, NOW).is_none());
        offers.withdraw(&id, 1001);
        assert!(offers.take(&id, 1000, NOW).is_some());
        assert!(offers.take(&id, 1000, NOW).is_none(), "taken once");
    }

    #[test]
    fn an_offer_expires_and_wears_out() {
        let offers = Offers::default();
        let id = file(&offers, 1000).unwrap();
        assert!(
            offers
                .take(
                    &id,
                    1000,
                    Now {
                        steady: LIFETIME,
                        ..NOW
                    }
                )
                .is_none()
        );
        for left in (0..TRIES).rev() {
            let offer = offers.take(&id, 1000, NOW).unwrap();
            assert_eq!(offers.put_back(&id, offer), left);
        }
        assert!(offers.take(&id, 1000, NOW).is_none());
    }

    #[test]
    fn a_reset_person_s_offers_are_gone() {
        let offers = Offers::default();
        let (alices, bobs) = (file(&offers, 1000).unwrap(), file(&offers, 1001).unwrap());
        offers.forget("u1000");
        assert!(offers.take(&alices, 1000, NOW).is_none());
        assert!(offers.take(&bobs, 1001, NOW).is_some());
    }

    #[test]
    fn an_offer_that_is_out_when_its_person_is_reset_comes_to_nothing() {
        let offers = Offers::default();
        let id = file(&offers, 1000).unwrap();
        let out = offers.take(&id, 1000, NOW).unwrap();
        offers.forget("u1000");
        assert_eq!(offers.put_back(&id, out), 0);
        assert!(offers.take(&id, 1000, NOW).is_none());
        let id = file(&offers, 1000).unwrap();
        let _out = offers.take(&id, 1000, NOW).unwrap();
        offers.forget("u1000");
        assert!(!offers.close(&id));
        let id = file(&offers, 1000).unwrap();
        let _out = offers.take(&id, 1000, NOW).unwrap();
        assert!(offers.close(&id));
    }

    #[test]
    fn nobody_confirms_more_at_once_than_they_may_have() {
        let offers = Offers::default();
        let ids: Vec<_> = (0..OF_ONE).map(|_| file(&offers, 1000).unwrap()).collect();
        let mut out: Vec<_> = ids
            .iter()
            .map(|id| offers.take(id, 1000, NOW).unwrap())
            .collect();
        offers.withdraw(&ids[0], 1000);
        assert!(file(&offers, 1000).is_none());
        assert!(file(&offers, 1001).is_some(), "somebody else");
        offers.put_back(&ids[0], out.remove(0));
        assert!(file(&offers, 1000).is_some());
        assert!(
            file_at(&offers, 1000, LONGEST_OUT).is_some(),
            "their owner has gone"
        );
    }

    #[test]
    fn one_person_s_new_offer_withdraws_their_own_oldest() {
        let offers = Offers::default();
        let first = file_at(&offers, 1000, 0).unwrap();
        let others = file(&offers, 1001).unwrap();
        let rest: Vec<_> = (1..=OF_ONE)
            .map(|age| file_at(&offers, 1000, i64::try_from(age).unwrap()).unwrap())
            .collect();
        assert!(offers.take(&first, 1000, NOW).is_none());
        for id in &rest {
            assert!(offers.take(id, 1000, NOW).is_some());
        }
        assert!(offers.take(&others, 1001, NOW).is_some());
    }

    #[test]
    fn no_number_of_offers_takes_the_room_of_one_who_enrolls() {
        let offers = Offers::of(128);
        let ongoing = file_at(&offers, 1, 0).unwrap();
        // As many people as fill it, asking for all that they get, and then again.
        let hostile = 2 + u32::try_from(128 / OF_ONE).unwrap();
        for round in 1..=i64::try_from(OF_ONE).unwrap() + 1 {
            for uid in 1000..1000 + hostile {
                assert!(file_at(&offers, uid, round).is_some());
            }
        }
        let new = file_at(&offers, 2, 9).unwrap();
        assert!(file_at(&offers, 1000, 10).is_some());
        assert!(offers.open.lock().unwrap().len() <= 128);
        assert!(offers.take(&ongoing, 1, NOW).is_some());
        assert!(offers.take(&new, 2, NOW).is_some());
    }
}
