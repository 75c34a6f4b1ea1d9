//! Points in time as people type them. The current time is a parameter.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::failure::Failure;

/// The moment that `text` names, in seconds since the epoch: RFC 3339, a date (its midnight in `zone`), or an age
/// such as `90m`, `1h`, `2d`, `1w`.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<i64, Failure> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_second());
    }
    if let Ok(date) = text.parse::<Date>()
        && let Ok(midnight) = date.to_zoned_datetime(zone.clone())
    {
        return Ok(midnight.timestamp().as_second());
    }
    age(text)
        .and_then(|age| now.checked_sub(age).ok())
        .map(Timestamp::as_second)
        .ok_or_else(|| {
            Failure::Usage(format!(
                "“{}” is not a time: write 2026-11-24T08:00:00Z, 2026-11-24, or an age such as 90m, 1h or 2d.",
                mfad_protocol::printable(text)
            ))
        })
}

/// How long an age such as `90m`, `1h`, `2d` or `1w` is.
pub fn age(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(SignedDuration::from_secs(i64::from(count) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<i64, u8> {
        let now = Timestamp::from_second(1_795_478_400).unwrap(); // 2026-11-24T00:00:00Z
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        parse(text, now, &zone).map_err(|failure| failure.exit_code())
    }

    #[test]
    fn ages_count_back_from_now() {
        assert_eq!(parsed("1h"), Ok(1_795_478_400 - 3_600));
        assert_eq!(parsed("2d"), Ok(1_795_478_400 - 2 * 86_400));
        assert_eq!(parsed("90m"), Ok(1_795_478_400 - 5_400));
    }

    #[test]
    fn dates_begin_at_local_midnight_and_rfc_3339_is_exact() {
        assert_eq!(parsed("2026-11-24"), Ok(1_795_478_400 - 3_600));
        assert_eq!(parsed("2026-11-24T08:00:00Z"), Ok(1_795_478_400 + 28_800));
        assert_eq!(
            parsed("2026-11-24T08:00:00+01:00"),
            Ok(1_795_478_400 + 25_200)
        );
    }

    #[test]
    fn anything_else_is_wrong_usage() {
        for text in [
            "",
            "h",
            "yesterday",
            "-1h",
            "1y",
            "1.5h",
            "4294967296s",
            "1é",
            "9999999999d",
        ] {
            assert_eq!(parsed(text), Err(2), "{text}");
        }
    }
}
