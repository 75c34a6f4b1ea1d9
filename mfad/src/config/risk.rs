//! `[risk]` of `mfad.toml`: weights and thresholds, how long histories are kept, and the database of places.

use std::{
    path::{Component, Path, PathBuf},
    time::Duration,
};

use policy::document::Findings;

use super::section::{DAY, HOUR, MINUTE, Section};
use crate::risk::{HEAVIEST, Settings, Signal, Weights};

/// Greatest score that can be asked for.
const HIGHEST: u32 = 1_000;

/// `[risk]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// What makes a login unusual.
    pub settings: Settings,
    /// Where the database of countries and cities is, if there is one.
    pub location_database: Option<PathBuf>,
    /// Older than this, it is not believed.
    pub location_max_age: Duration,
}

impl Risk {
    pub(super) fn read(section: Section<'_>, findings: &mut Findings<'_>) -> Self {
        let location = section.text("location-database", "", unfit_for_a_path, findings);
        let max_age = section.seconds("location-max-age", DAY..=3_650 * DAY, 90 * DAY, findings);
        let settings = settings(&section, findings);
        if let Some(span) = section.span()
            && !(settings.low <= settings.medium && settings.medium <= settings.high)
        {
            findings.error(span, "`low`, `medium` and `high` must not descend");
        }
        section.finish(findings);
        Self {
            settings,
            location_database: Some(location)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            location_max_age: Duration::from_secs(max_age),
        }
    }
}

fn settings(section: &Section<'_>, findings: &mut Findings<'_>) -> Settings {
    let default = Settings::default();
    let weights = weights(
        section.table("weights", "[risk.weights]", findings),
        findings,
    );
    let mut seconds = |key, range, default: i64| {
        let seconds = section.seconds(key, range, default.unsigned_abs(), findings);
        i64::try_from(seconds).unwrap_or(default)
    };
    let keep = seconds("keep", DAY..=365 * DAY, default.keep);
    let dormant = seconds("dormant", DAY..=3_650 * DAY, default.dormant);
    let failure_window = seconds("failure-window", MINUTE..=HOUR, default.failure_window);
    let mut number = |key, range, default| section.number(key, range, default, findings);
    Settings {
        weights,
        low: number("low", 1..=HIGHEST, default.low),
        medium: number("medium", 1..=HIGHEST, default.medium),
        high: number("high", 1..=HIGHEST, default.high),
        learn: number("learn", 1..=1_000, default.learn),
        keep,
        hour_days: number("hour-days", 1..=60, default.hour_days),
        hour_percent: number("hour-percent", 1..=50, default.hour_percent),
        rate_factor: number("rate-factor", 2..=100, default.rate_factor),
        rate_floor: number("rate-floor", 1..=10_000, default.rate_floor),
        speed: number("speed", 100..=10_000, default.speed),
        distance: number("distance", 50..=20_000, default.distance),
        dormant,
        failure_window,
        failures_user: number("failures-user", 1..=100, default.failures_user),
        failures_source: number("failures-source", 1..=1_000, default.failures_source),
        failures_everywhere: number(
            "failures-everywhere",
            1..=1_000_000,
            default.failures_everywhere,
        ),
    }
}

fn weights(section: Section<'_>, findings: &mut Findings<'_>) -> Weights {
    let weights = Signal::ALL
        .into_iter()
        .fold(Weights::default(), |weights, signal| {
            let default = weights.of(signal);
            weights.with(
                signal,
                section.number(signal.word(), 0..=HEAVIEST, default, findings),
            )
        });
    section.finish(findings);
    weights
}

fn unfit_for_a_path(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    let sound = Path::new(text).is_absolute()
        && Path::new(text).components().all(plain)
        && mfad_protocol::printable(text) == text;
    (!sound).then(|| "must be an absolute path without `..`, or empty for none".to_owned())
}
