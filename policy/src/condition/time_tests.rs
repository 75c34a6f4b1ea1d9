//! Windows on the clocks of places where clocks are set forward and back.

use super::*;

/// Zones as POSIX writes them, so that no test depends on the machine's database: the rules of Switzerland, of New York
/// and of Lord Howe Island (half an hour), and a zone at the edge.
fn zone(name: &str) -> Option<TimeZone> {
    let rule = match name {
        "Europe/Zurich" => "CET-1CEST,M3.5.0,M10.5.0/3",
        "America/New_York" => "EST5EDT,M3.2.0,M11.1.0",
        "Australia/Lord_Howe" => "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "Pacific/Kiritimati" => "<+14>-14",
        _ => return None,
    };
    TimeZone::posix(rule).ok()
}

fn holds(text: &str, now: &str) -> bool {
    let window = window(text, zone).unwrap();
    window.holds(now.parse().unwrap())
}

#[test]
fn a_window_follows_the_clock_on_the_wall() {
    for (text, now, expected) in [
        // Office hours, in winter (UTC+1) and in summer (UTC+2); 2027-01-15 is a Friday, 2027-07-15 a Thursday.
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich",
            "2027-01-15T07:00:00Z",
            true,
        ),
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich",
            "2027-01-15T06:59:59Z",
            false,
        ),
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich",
            "2027-01-15T16:59:59Z",
            true,
        ),
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich",
            "2027-01-15T17:00:00Z",
            false,
        ),
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich",
            "2027-07-15T06:00:00Z",
            true,
        ),
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich",
            "2027-07-15T16:00:00Z",
            false,
        ),
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich",
            "2027-01-16T10:00:00Z",
            false,
        ),
        // Another zone has another day.
        (
            "Sat 00:00-24:00 Pacific/Kiritimati",
            "2027-01-15T10:00:00Z",
            true,
        ),
        ("Sat 00:00-24:00 UTC", "2027-01-15T10:00:00Z", false),
        ("Fri UTC", "2027-01-15T23:59:59Z", true),
        // Across midnight: the window belongs to the day on which it begins.
        ("Fri 22:00-06:00 UTC", "2027-01-15T21:59:59Z", false),
        ("Fri 22:00-06:00 UTC", "2027-01-15T22:00:00Z", true),
        ("Fri 22:00-06:00 UTC", "2027-01-16T05:59:59Z", true),
        ("Fri 22:00-06:00 UTC", "2027-01-16T06:00:00Z", false),
        ("Fri 22:00-06:00 UTC", "2027-01-15T01:00:00Z", false),
        ("Sun 22:00-06:00 UTC", "2027-01-18T01:00:00Z", true),
        ("22:00-06:00 UTC", "2027-01-15T01:00:00Z", true),
        // The hour that comes twice (New York, 2027-11-07, 01:00-02:00) is in the window both times.
        ("01:30-01:45 America/New_York", "2027-11-07T05:35:00Z", true),
        ("01:30-01:45 America/New_York", "2027-11-07T06:35:00Z", true),
        (
            "01:30-01:45 America/New_York",
            "2027-11-07T07:35:00Z",
            false,
        ),
        // The hour that never comes (Zurich, 2027-03-28, 02:00-03:00).
        ("02:00-03:00 Europe/Zurich", "2027-03-28T00:59:59Z", false),
        ("02:00-03:00 Europe/Zurich", "2027-03-28T01:00:00Z", false),
        ("01:00-04:00 Europe/Zurich", "2027-03-28T01:59:59Z", true),
        ("01:00-04:00 Europe/Zurich", "2027-03-28T02:00:00Z", false),
        // Half an hour is set back too (Lord Howe, 2027-04-04 at 02:00).
        (
            "01:30-02:00 Australia/Lord_Howe",
            "2027-04-03T14:45:00Z",
            true,
        ),
        (
            "01:30-02:00 Australia/Lord_Howe",
            "2027-04-03T15:15:00Z",
            true,
        ),
        (
            "01:30-02:00 Australia/Lord_Howe",
            "2027-04-03T15:30:00Z",
            false,
        ),
        // Before 1970.
        ("Wed 23:00-24:00 UTC", "1969-12-31T23:30:00Z", true),
    ] {
        assert_eq!(holds(text, now), expected, "{text} at {now}");
    }
}

#[test]
fn a_window_prints_in_one_spelling() {
    for (text, printed) in [
        (
            "Mon..Fri  08:00-18:00  Europe/Zurich",
            "Mon..Fri 08:00-18:00 Europe/Zurich",
        ),
        ("mon,WED,Fri..Sun 00:00-24:00 UTC", "Mon,Wed,Fri..Sun UTC"),
        ("Sat..Mon 22:00-06:00 UTC", "Mon,Sat..Sun 22:00-06:00 UTC"),
        ("Mon..Sun UTC", "00:00-24:00 UTC"),
        ("00:00-24:00 UTC", "00:00-24:00 UTC"),
        ("Tue UTC", "Tue UTC"),
    ] {
        let first = window(text, zone).unwrap().to_string();
        assert_eq!(first, printed);
        assert_eq!(window(&first, zone).unwrap().to_string(), printed);
    }
}

#[test]
fn what_is_no_window_is_refused_and_says_why() {
    for (text, why) in [
        ("", "`time` cannot be \"\""),
        ("UTC", "`time` cannot be \"UTC\""),
        ("Mon..Fri 08:00-18:00", "lacks a time zone"),
        ("08:00-18:00 Mon..Fri", "lacks a time zone"),
        (
            "Mon..Fri 08:00-18:00 Europe/Zurich extra",
            "`time` cannot be",
        ),
        ("Mon..Fri 08:00-18:00 Europe/Zürich", "no time zone"),
        (
            "Mon..Fri 08:00-18:00 Mars/Phobos",
            "no time zone \"Mars/Phobos\"",
        ),
        (
            "Mon..Fri 08:00-18:00 ../../etc/localtime",
            "lacks a time zone",
        ),
        ("Mon..Fri 08:00-18:00 /etc/localtime", "no time zone"),
        ("Mon..Fri 08:00-18:00 local", "no time zone"),
        ("Monday 08:00-18:00 UTC", "are no days"),
        ("Mon-Fri 08:00-18:00 UTC", "are no days"),
        ("Mon..Fri,Wed 08:00-18:00 UTC", "lists Wed twice"),
        ("Mon.. 08:00-18:00 UTC", "are no days"),
        ("08:00-08:00 UTC", "is an empty window"),
        ("08:00-00:00 UTC", "begins at 00:00 and ends at 24:00"),
        ("24:00-08:00 UTC", "begins at 00:00 and ends at 24:00"),
        ("8-18 UTC", "are no hours"),
        ("08:60-18:00 UTC", "are no hours"),
        ("08:00-24:01 UTC", "are no hours"),
        ("08:00..18:00 UTC", "are no hours"),
        ("-8:00-18:00 UTC", "are no days"),
        ("99:99-99:99 UTC", "are no hours"),
    ] {
        let fault = window(text, zone).unwrap_err();
        assert!(fault.contains(why), "{text}: {fault}");
    }
}
