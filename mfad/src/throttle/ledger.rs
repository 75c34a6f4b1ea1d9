//! One person's failures of one class in the last 30 days, and what they allow. The store keeps its bytes.

use super::{Class, Lane, Limits, Refusal};

/// How far back failures lengthen a delay, in seconds.
const DELAY_MEMORY: i64 = 86_400;
/// Most failures that are kept where no budget bounds them (backup codes, keys). Four lanes at full pace make 128 a day, and
/// only the last day's matter for delays.
const MOST_UNBOUNDED: usize = 512;
/// Version of the bytes.
const VERSION: u8 = 1;
/// Bit of a failure's first byte: its lane has had no success since.
const DELAYING: u8 = 0b100;
const LANE: u8 = 0b011;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure {
    /// Seconds on the steady clock.
    time: i64,
    lane: Lane,
    units: u32,
    /// How many of the units were taken from the lane's reserve.
    reserved: u32,
    /// Whether it still lengthens its lane's delay. A flag and not a time, so that a failure in the very second of a
    /// success counts.
    delaying: bool,
}

/// Failures of one person and class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    class: Class,
    /// In the order in which they were charged.
    failures: Vec<Failure>,
}

impl Ledger {
    /// One without failures.
    pub const fn new(class: Class) -> Self {
        Self {
            class,
            failures: Vec::new(),
        }
    }

    /// Reads what [`Ledger::encode`] wrote; `None` if it is something else.
    pub fn decode(class: Class, bytes: &[u8]) -> Option<Self> {
        let (&VERSION, mut rest) = bytes.split_first()? else {
            return None;
        };
        let mut failures = Vec::with_capacity(rest.len() / 4);
        let mut time = 0_i64;
        while let Some((&head, tail)) = rest.split_first() {
            rest = tail;
            if head & !(DELAYING | LANE) != 0 {
                return None;
            }
            time = time.wrapping_add(unzigzag(take(&mut rest)?));
            let units = take(&mut rest)?.try_into().ok()?;
            let reserved = take(&mut rest)?.try_into().ok()?;
            let lane = Lane::ALL[usize::from(head & LANE)];
            failures.push(Failure {
                time,
                lane,
                units,
                reserved,
                delaying: head & DELAYING != 0,
            });
        }
        Some(Self { class, failures })
    }

    /// Its bytes: four to ten for each failure.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + 6 * self.failures.len());
        bytes.push(VERSION);
        let mut before = 0_i64;
        for failure in &self.failures {
            let lane = match failure.lane {
                Lane::Trusted => 0,
                Lane::Other => 1,
                Lane::Local => 2,
                Lane::SelfService => 3,
            };
            bytes.push(lane | if failure.delaying { DELAYING } else { 0 });
            put(&mut bytes, zigzag(failure.time.wrapping_sub(before)));
            put(&mut bytes, failure.units.into());
            put(&mut bytes, failure.reserved.into());
            before = failure.time;
        }
        bytes
    }

    /// Whether no failure is remembered.
    pub const fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }

    /// How many failures are remembered.
    pub const fn len(&self) -> usize {
        self.failures.len()
    }

    /// Makes failures from the future (the clock was set back) failures of `now`, so that they age from now on.
    /// Returns whether there were any: the ledger should then be written, whatever becomes of the attempt.
    pub fn settle(&mut self, now: i64) -> bool {
        let mut found = false;
        for failure in self
            .failures
            .iter_mut()
            .filter(|failure| failure.time > now)
        {
            failure.time = now;
            found = true;
        }
        found
    }

    /// Whether an answer whose failure would cost `units` may be looked at now.
    pub fn admit(&self, lane: Lane, units: u32, now: i64, limits: &Limits) -> Result<(), Refusal> {
        if self.class == Class::Key {
            return Ok(());
        }
        if self.class == Class::Otp && self.room(lane, now, limits) < units {
            return Err(Refusal::Exhausted);
        }
        match self.delayed_until(lane, now, limits) {
            Some(until) => Err(Refusal::Delayed(until)),
            None => Ok(()),
        }
    }

    /// Notes a failure that cost `units`: from the shared pool while that lasts, then from the lane's reserve.
    pub fn charge(&mut self, lane: Lane, units: u32, now: i64, limits: &Limits) {
        self.settle(now);
        self.forget(now, limits);
        let reserved = units
            .saturating_sub(self.shared_room(now, limits))
            .min(self.reserve_room(lane, now, limits));
        self.failures.push(Failure {
            time: now,
            lane,
            units,
            reserved,
            delaying: true,
        });
    }

    /// A success of `lane`: its delay starts over. The budget stays as it is. Returns whether anything changed.
    pub fn clear_delay(&mut self, lane: Lane, now: i64) -> bool {
        let mut changed = false;
        for failure in &mut self.failures {
            if failure.lane == lane && failure.delaying {
                failure.delaying = false;
                // What no longer delays anyhow is not worth a write.
                changed |= lengthens_delay(failure.time, now);
            }
        }
        changed
    }

    /// Units spent in the window that ends now.
    pub fn spent(&self, now: i64, limits: &Limits) -> u32 {
        self.sum(now, limits, |failure| failure.units)
    }

    /// Failures within the `window` seconds that end now.
    pub fn recent(&self, now: i64, window: i64) -> u32 {
        let recent = self
            .failures
            .iter()
            .filter(|failure| now.saturating_sub(failure.time) < window);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// Whether nobody can guess any more.
    pub fn is_exhausted(&self, now: i64, limits: &Limits) -> bool {
        self.class == Class::Otp
            && Lane::ALL
                .into_iter()
                .all(|lane| self.room(lane, now, limits) == 0)
    }

    /// Lanes that are delayed, and until when.
    pub fn delays(&self, now: i64, limits: &Limits) -> Vec<(Lane, i64)> {
        if self.class == Class::Key {
            return Vec::new();
        }
        Lane::ALL
            .into_iter()
            .filter_map(|lane| {
                self.delayed_until(lane, now, limits)
                    .map(|until| (lane, until))
            })
            .collect()
    }

    /// Units that `lane` could spend now.
    pub fn room(&self, lane: Lane, now: i64, limits: &Limits) -> u32 {
        self.shared_room(now, limits)
            .saturating_add(self.reserve_room(lane, now, limits))
    }

    fn shared_room(&self, now: i64, limits: &Limits) -> u32 {
        limits
            .shared()
            .saturating_sub(self.sum(now, limits, |failure| {
                failure.units - failure.reserved.min(failure.units)
            }))
    }

    fn reserve_room(&self, lane: Lane, now: i64, limits: &Limits) -> u32 {
        let used = self.sum(now, limits, |failure| {
            if failure.lane == lane {
                failure.reserved
            } else {
                0
            }
        });
        limits.reserve(lane).saturating_sub(used)
    }

    fn sum(&self, now: i64, limits: &Limits, of: impl Fn(&Failure) -> u32) -> u32 {
        self.failures
            .iter()
            .filter(|failure| now.saturating_sub(failure.time) < limits.window)
            .fold(0, |sum, failure| sum.saturating_add(of(failure)))
    }

    fn delayed_until(&self, lane: Lane, now: i64, limits: &Limits) -> Option<i64> {
        let row = self.failures.iter().filter(|failure| {
            failure.lane == lane && failure.delaying && lengthens_delay(failure.time, now)
        });
        let (count, last) = row.fold((0_u32, i64::MIN), |(count, last), failure| {
            (count + 1, last.max(failure.time.min(now)))
        });
        let until = last.saturating_add(limits.delay_after(count));
        (count > 0 && until > now).then_some(until)
    }

    fn forget(&mut self, now: i64, limits: &Limits) {
        let window = limits.window.max(DELAY_MEMORY);
        self.failures
            .retain(|failure| now.saturating_sub(failure.time) < window);
        if self.class != Class::Otp && self.failures.len() >= MOST_UNBOUNDED {
            self.failures.drain(..=self.failures.len() - MOST_UNBOUNDED);
        }
    }
}

fn lengthens_delay(time: i64, now: i64) -> bool {
    now.saturating_sub(time) < DELAY_MEMORY
}

/// Small numbers of either sign in few bytes.
const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// LEB128: seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7F) as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
