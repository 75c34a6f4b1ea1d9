//! When each signal fires, and why. One function a signal.

use super::{Circumstances, Failures, History, Settings, Signal};

const HOUR: f64 = 3_600.0;
const DAY: i64 = 86_400;

/// One login to be compared.
pub(super) struct Case<'a> {
    pub(super) history: &'a History,
    pub(super) login: &'a Circumstances,
    pub(super) failures: Failures,
    pub(super) settings: &'a Settings,
    pub(super) now: i64,
}

impl Case<'_> {
    /// Why the signal fires; `None` if it does not.
    pub(super) fn why(&self, signal: Signal) -> Option<String> {
        if is_learned(signal) && self.history.habit.logins(self.since()) < self.settings.learn {
            return None;
        }
        let of_late = self.failures;
        match signal {
            Signal::NewDevice => self.new_device(),
            Signal::NewNetwork => self.new_network(),
            Signal::NewCountry => self.new_country(),
            Signal::ImpossibleTravel => self.impossible_travel(),
            Signal::UnusualHour => self.unusual_hour(),
            Signal::UnusualRate => self.unusual_rate(),
            Signal::RecentFailuresUser => {
                reached(of_late.user, self.settings.failures_user, "for this person")
            }
            Signal::RecentFailuresSource => reached(
                of_late.source,
                self.settings.failures_source,
                "from this source",
            ),
            Signal::RecentFailuresEverywhere => reached(
                of_late.everywhere,
                self.settings.failures_everywhere,
                "on this machine",
            ),
            Signal::Dormant => self.dormant(),
        }
    }

    /// Older than that does not count.
    fn since(&self) -> i64 {
        self.now.saturating_sub(self.settings.keep)
    }

    fn new_device(&self) -> Option<String> {
        let device = self.login.device?;
        (!self.history.knows(device))
            .then(|| "no second factor has been proven from this key or seat".to_owned())
    }

    fn new_network(&self) -> Option<String> {
        let network = self.login.network?;
        (!self.history.networks.contains(&network))
            .then(|| "this person has not come from this network".to_owned())
    }

    fn new_country(&self) -> Option<String> {
        let country = self.login.country?;
        let known = &self.history.countries;
        // None at all: there was no database of countries until now.
        (!known.is_empty() && !known.contains(&country))
            .then(|| format!("this person has not come from {country}"))
    }

    fn impossible_travel(&self) -> Option<String> {
        let (there, (before, when)) = (self.login.position?, self.history.habit.seen()?);
        if when <= self.since() {
            return None;
        }
        let apart = there.separation(&before);
        // A clock set back leaves no time for a journey.
        let seconds = self.now.saturating_sub(when).max(0);
        let reachable = f64::from(self.settings.speed) * hours(seconds);
        (apart > f64::from(self.settings.distance) && apart > reachable).then(|| {
            format!(
                "at least {apart:.0} km from the last place, {} min before",
                seconds / 60
            )
        })
    }

    fn unusual_hour(&self) -> Option<String> {
        let (days, like) = self.history.habit.days_like(self.now, self.since());
        let rare = u64::from(like) * 100 < u64::from(self.settings.hour_percent) * u64::from(days);
        (days >= self.settings.hour_days.max(1) && rare)
            .then(|| format!("around this hour on {like} of the {days} days with logins"))
    }

    fn unusual_rate(&self) -> Option<String> {
        let habit = &self.history.habit;
        let usual = habit.mean_peak_percent(self.now, self.since())?;
        let now = habit.in_hour(self.now).saturating_add(1);
        let far_above =
            u64::from(now) * 100 > usual.saturating_mul(self.settings.rate_factor.into());
        (far_above && now > self.settings.rate_floor).then(|| {
            let (whole, tenths) = (usual / 100, usual % 100 / 10);
            format!("login {now} of this hour; the busiest hour of a day has {whole}.{tenths} on average")
        })
    }

    fn dormant(&self) -> Option<String> {
        let idle = self.now.saturating_sub(self.history.last_login?);
        (idle >= self.settings.dormant).then(|| format!("no login for {} days", idle / DAY))
    }
}

/// Whether a signal compares with the person's own logins, and so needs [`Settings::learn`] of them.
pub(super) const fn is_learned(signal: Signal) -> bool {
    !matches!(
        signal,
        Signal::RecentFailuresUser
            | Signal::RecentFailuresSource
            | Signal::RecentFailuresEverywhere
            | Signal::Dormant
    )
}

fn reached(failures: u32, enough: u32, whose: &str) -> Option<String> {
    (failures >= enough.max(1)).then(|| format!("{failures} failed answers of late {whose}"))
}

/// A span in hours. Exact for any that a person lives through.
#[allow(
    clippy::cast_precision_loss,
    reason = "spans beyond 2^53 seconds are no matter of logins"
)]
fn hours(seconds: i64) -> f64 {
    seconds as f64 / HOUR
}
