//! Every kind of bad condition, requirement and `remember`, and the exact words in which it is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

mod plain;

fn findings(text: &str) -> Vec<String> {
    match plain::read(text) {
        Ok(policy) => panic!("accepted:\n{policy}"),
        Err(found) => found,
    }
}

/// Checks that a rule with this condition has one fault, at this column of its line and described so.
fn when_refused(condition: &str, expected: &str) {
    let text = format!("[[rule]]\nname = \"r\"\nwhen = {{ {condition} }}\nrequire = \"any\"\n");
    assert_eq!(
        findings(&text),
        [format!("p.toml:3:{expected}")],
        "{condition}"
    );
}

/// The same of what a rule demands and lets remember.
fn demand_refused(demand: &str, expected: &str) {
    let text = format!("[[rule]]\nname = \"r\"\nwhen = {{}}\n{demand}\n");
    assert_eq!(findings(&text), [format!("p.toml:{expected}")], "{demand}");
}

macro_rules! refusals {
    ($check:ident: $($name:ident: $input:expr => $expected:expr;)*) => {
        $(#[test] fn $name() { $check($input, $expected); })*
    };
}

refusals! { when_refused:
    a_reversed_uid_range: "uid = \"2000..1000\""
        => "16: the range \"2000..1000\" is reversed: it would match nothing";
    a_uid_that_is_a_name: "uid = \"root\""
        => "16: `uid` cannot be \"root\"; write a number, a range such as \"1000..59999\", \">= 1000\" or \"<= 999\"";
    a_negative_uid: "uid = -1" => "16: `uid` is -1; it must be 0 to 4294967294";
    no_uid: "uid = 4294967295" => "16: `uid` is 4294967295; it must be 0 to 4294967294";
    a_uid_twice: "uid = [0, \"0..0\"]" => "20: \"0\" is listed twice";
    an_empty_list_of_uids: "uid = []" => "16: `uid` is an empty list: it would match nothing";

    a_zone_that_does_not_exist: "time = \"Mon..Fri 08:00-18:00 Europe/Zurch\""
        => "17: there is no time zone \"Europe/Zurch\"; zones are named as in /usr/share/zoneinfo: Europe/Zurich, UTC";
    a_window_without_a_zone: "time = \"08:00-18:00\""
        => "17: `time` cannot be \"08:00-18:00\"; write days, hours and a time zone, as in \"Mon..Fri 08:00-18:00 Europe/Zurich\"";
    an_empty_window: "time = \"08:00-08:00 UTC\""
        => "17: \"08:00-08:00\" is an empty window: it would match nothing; a whole day is 00:00-24:00";
    days_of_another_language: "time = \"Mo..Fr UTC\""
        => "17: \"Mo..Fr\" are no days; write them as Mon, Tue, Wed, Thu, Fri, Sat, Sun, with .. between first and last and commas between several";
    a_window_twice: "time = [\"Sat..Sun UTC\", \"Sat,Sun 00:00-24:00 UTC\"]"
        => "34: \"Sat,Sun 00:00-24:00 UTC\" is listed twice";

    a_terminal_with_its_directory: "tty = \"/dev/tty1\"" => "16: terminals are named without /dev/: \"tty1\"";
    a_regular_expression_for_a_terminal: "tty = \"tty[0-9]+\""
        => "16: \"tty[0-9]+\" looks like a regular expression; a glob is meant: `*` stands for any characters, `?` for one, and nothing else is special";
    a_pattern_twice: "service = [\"sshd\", \"SSHD\"]" => "29: \"SSHD\" is listed twice";
    a_network_twice: "network = [\"10.0.0.0/8\", \"::ffff:10.0.0.0/104\"]"
        => "35: \"::ffff:10.0.0.0/104\" is listed twice";

    an_unknown_country: "country = \"XY\""
        => "20: there is no country \"XY\"; write the two letters of ISO 3166-1, such as \"CH\"";
    a_country_by_another_code: "country = [\"CH\", \"UK\"]"
        => "27: there is no country \"UK\" (did you mean GB?); write the two letters of ISO 3166-1, such as \"CH\"";
    a_country_twice: "country = [\"CH\", \"ch\"]" => "27: \"ch\" is listed twice";

    an_unknown_first_factor: "first-factor = \"pasword\""
        => "25: `first-factor` cannot be \"pasword\" (did you mean password?); it is password, publickey, certificate, sk-key";
    a_fingerprint_of_another_hash: "key = \"MD5:d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e\""
        => "16: \"MD5:d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e\" is no fingerprint; write it as `ssh-keygen -lf key.pub` prints it: SHA256: and 43 characters";
    a_pattern_for_a_fingerprint: "ca = \"SHA256:*\""
        => "15: \"SHA256:*\" is no fingerprint; write it as `ssh-keygen -lf key.pub` prints it: SHA256: and 43 characters";
    an_unknown_device: "device = \"unknown\""
        => "19: `device` cannot be \"unknown\" (did you mean known?); it is known, new";
    an_unknown_level: "risk = \">= hgih\""
        => "17: `risk` cannot be \"hgih\" (did you mean high?); it is none, low, medium, high, alone or after >=, >, <=, <, as in \">= high\"";
    a_level_that_no_login_has: "risk = \"> high\"" => "17: no risk is \"> high\": it would match nothing";
    a_level_that_every_login_has: "risk = \">= none\""
        => "17: every risk is \">= none\"; leave the condition out";
    an_unknown_signal: "signal = \"new-contry\""
        => "19: `signal` cannot be \"new-contry\" (did you mean new-country?); it is new-device, new-network, new-country, impossible-travel, unusual-hour, unusual-rate, recent-failures-user, recent-failures-source, recent-failures-everywhere, dormant";

    an_age_without_a_sign: "last-mfa = \"30d\""
        => "21: `last-mfa` cannot be \"30d\"; write >, >=, < or <= and a duration, as in \"> 30d\"";
    an_age_of_zero: "last-mfa = \"> 0d\"" => "21: `last-mfa` is \"0d\"; it must be 1s to 3650d";
    a_negative_age: "last-mfa = \"> -30d\""
        => "21: `last-mfa` cannot be \"-30d\"; write a whole number and s, m, h or d, 1s to 3650d";
    a_dormancy_without_a_unit: "dormant = \"90\""
        => "20: `dormant` cannot be \"90\"; write a whole number and s, m, h or d, 1s to 3650d";
    a_dormancy_that_is_a_number: "dormant = 90"
        => "20: `dormant` must be a duration such as \"15m\", \"12h\" or \"30d\", not a whole number";

    an_empty_list_of_tables: "any = []" => "16: `any` is an empty list";
    an_empty_table: "any = [{ user = \"a\" }, {}]" => "33: `any` holds an empty table, which always holds";
    an_empty_not: "not = {}" => "16: `not` holds an empty table, which always holds";
    a_list_below_not: "not = [{ user = \"a\" }]" => "16: `not` must be a table, not a list";
    a_table_below_any: "any = { user = \"a\" }"
        => "16: `any` must be a list of tables of conditions, not a table";
    an_unknown_condition_within: "not = { usr = \"a\" }"
        => "18: unknown key `usr` in `when` (did you mean user?); known are service, user, uid, group, target, network, tty, seat, country, first-factor, key, ca, device, risk, signal, last-mfa, dormant, time, any, all, not";
}

refusals! { demand_refused:
    distinct_kinds_that_are_not: "require = { count = 2, distinct = false }"
        => "4:35: `distinct` cannot be false: the factors that are counted are always of distinct kinds; leave it out";
    a_flag_that_is_no_boolean: "require = { phishing-resistant = \"yes\" }"
        => "4:34: `phishing-resistant` must be true or false, not a string";
    an_age_of_zero_minutes: "require = { max-age = \"0m\" }" => "4:23: `max-age` is \"0m\"; it must be 1s to 30d";
    a_negative_max_age: "require = { max-age = \"-15m\" }"
        => "4:23: `max-age` cannot be \"-15m\"; write a whole number and s, m, h or d, 1s to 30d";
    a_slip_in_a_factor: "require = { any = \"topt\" }"
        => "4:19: there is no factor \"topt\" (did you mean totp?); there are totp, hotp, backup-codes";

    an_empty_remember: "require = \"any\"\nremember = { for = \"12h\" }" => "5:12: `remember` has no `bind`";
    a_remember_of_zero: "require = \"any\"\nremember = { for = \"0h\", bind = \"seat\" }"
        => "5:20: `for` is \"0h\"; it must be 1m to 90d";
    a_remember_for_years: "require = \"any\"\nremember = { for = \"3650d\", bind = \"seat\" }"
        => "5:20: `for` is \"3650d\"; it must be 1m to 90d";
    a_device_known_by_its_address_alone: "require = \"any\"\nremember = { for = \"12h\", bind = [\"address\", \"service\"] }"
        => "5:34: `bind` holds too little to recognize a device by; it needs \"ssh-key\", or \"seat\", or \"address\" with \"service\" and \"tty\"";
    a_device_known_by_something_else: "require = \"any\"\nremember = { for = \"12h\", bind = [\"cookie\", \"seat\"] }"
        => "5:35: `bind` cannot hold \"cookie\"; it holds ssh-key, address, service, tty, seat";
    a_bind_twice: "require = \"any\"\nremember = { for = \"12h\", bind = [\"seat\", \"seat\"] }"
        => "5:43: \"seat\" is listed twice";
    a_remember_for_strong_factors: "require = { phishing-resistant = true }\nremember = { for = \"12h\", bind = \"seat\" }"
        => "5:12: a remembered device is neither phishing-resistant nor has it verified anybody; leave `remember` out";
    a_remember_in_a_floor: "require = \"any\"\nfloor = true\nremember = { for = \"12h\", bind = \"seat\" }"
        => "6:12: a floor holds for remembered devices too; `remember` belongs to a rule";
    a_remember_of_nothing: "require = \"none\"\nremember = { for = \"12h\", bind = \"seat\" }"
        => "5:12: `remember` means nothing where nothing is required";
    a_remember_of_a_refusal: "require = \"deny\"\nremember = { for = \"12h\", bind = \"seat\" }"
        => "5:12: `remember` means nothing where the login is refused";
}

#[test]
fn a_subject_that_does_not_exist_is_refused() {
    assert_eq!(
        findings("[subject]\nsu = \"both\"\nsudo = \"caller\"\n"),
        [
            "p.toml:2:6: `su` cannot be \"both\"; it is \"target\" or \"caller\"",
            "p.toml:3:1: unknown key `sudo` in [subject]; known are su",
        ]
    );
    assert_eq!(
        findings("[subject]\n"),
        ["p.toml:1:1: [subject] has no `su`"]
    );
}

#[test]
fn conditions_are_refused_where_they_stand_too_deep_in_each_other() {
    let nested = |depth: usize| {
        let when = (0..depth).fold("user = \"a\"".to_owned(), |inner, _| {
            format!("not = {{ {inner} }}")
        });
        format!("[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\nrequire = \"any\"\n")
    };
    assert!(plain::read(&nested(8)).is_ok());
    assert_eq!(
        findings(&nested(9)),
        ["p.toml:3:80: `any`, `all` and `not` stand in each other more than 8 deep"]
    );
    // Far deeper, the parser itself gives up, and nothing overflows.
    assert!(plain::read(&nested(10_000)).is_err());
}

#[test]
fn more_tables_of_conditions_than_a_rule_may_have_are_refused_once() {
    let many = |count: usize| {
        let tables = vec!["{ user = \"a\" }"; count].join(", ");
        format!("[[rule]]\nname = \"r\"\nwhen = {{ any = [{tables}] }}\nrequire = \"any\"\n")
    };
    let text = many(256);
    assert!(plain::read(&text).is_ok());
    let found = findings(&many(5_000));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("a rule has more than 256 tables of conditions"),
        "{found:?}"
    );
}

#[test]
fn a_file_that_would_fill_the_memory_is_refused_before_it_is_parsed() {
    let expected = "p.toml:1:1: the file has too many values, tables and dotted keys to be read";
    for text in [
        format!("rule = [{}]", "0,".repeat(2_000_000)),
        "a.".repeat(1_000_000),
        "a = {b = 1}\n".repeat(150_000),
    ] {
        assert_eq!(findings(&text), [expected]);
    }
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_unread() {
    let found = findings(&" ".repeat(100_000_000));
    assert_eq!(
        found,
        ["p.toml:1:1: the file is larger than the 4194304 bytes that are read"]
    );
}
