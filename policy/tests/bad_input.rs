//! Every kind of bad policy, and the exact words in which it is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

mod plain;

use policy::{MAX_RULES, MAX_SOURCE, Policy, Source};

use plain::VOCABULARY;

fn findings(text: &str) -> Vec<String> {
    match plain::read(text) {
        Ok(policy) => panic!("accepted:\n{policy}"),
        Err(found) => found,
    }
}

/// Checks that `text` has one fault, described by `expected`.
fn refused(text: &str, expected: &str) {
    assert_eq!(
        findings(text),
        [expected],
        "{}",
        text.get(..200).unwrap_or(text)
    );
}

/// A sound rule with one line replaced: `name` stands on line 2, `when` on 3, `require` on 4.
fn rule_with(line: &str) -> String {
    let key = line.split([' ', '=']).next().unwrap();
    let mut lines = vec!["[[rule]]", "name = \"r\"", "when = {}", "require = \"any\""];
    match lines
        .iter_mut()
        .find(|sound| sound.starts_with(&format!("{key} ")))
    {
        Some(sound) => *sound = line,
        None => lines.push(line),
    }
    lines.join("\n")
}

/// Checks one line of an otherwise sound rule.
fn rule_refused(line: &str, expected: &str) {
    refused(&rule_with(line), expected);
}

macro_rules! refusals {
    ($($name:ident: $check:ident($input:expr) => $expected:expr;)*) => {
        $(#[test] fn $name() { $check($input, $expected); })*
    };
}

refusals! {
    // Syntax.
    not_toml: refused("[[rule]]\nname = r\n")
        => "p.toml:2:8: not TOML: string values must be quoted, expected literal string";
    an_unclosed_header: refused("[[rule\n")
        => "p.toml:1:7: not TOML: unclosed array table, expected `]]`";
    a_key_twice: refused("[unenrolled]\naction = \"deny\"\naction = \"allow\"\n")
        => "p.toml:3:1: not TOML: duplicate key";

    // Keys and types.
    an_unknown_key_of_the_file: refused("rules = []\n")
        => "p.toml:1:1: unknown key `rules` in a policy (did you mean rule?); known are rule, unenrolled, subject";
    an_unknown_key_of_a_rule: rule_refused("wen = {}")
        => "p.toml:5:1: unknown key `wen` in a rule (did you mean when?); known are name, when, require, floor, remember";
    an_unknown_condition: rule_refused("when = { grup = \"wheel\" }")
        => "p.toml:3:10: unknown key `grup` in `when` (did you mean group?); known are service, user, uid, group, target, network, tty, seat, country, first-factor, key, ca, device, risk, signal, last-mfa, dormant, time, any, all, not";
    an_unknown_key_of_a_requirement: rule_refused("require = { any = \"totp\", notify = true }")
        => "p.toml:4:27: unknown key `notify` in `require`; known are any, count, distinct, phishing-resistant, user-verified, max-age";
    a_rule_in_single_brackets: refused("[rule]\nname = \"r\"\n")
        => "p.toml:1:1: a rule begins with [[rule]], in double brackets";
    a_rule_that_is_no_table: refused("rule = [1]\n")
        => "p.toml:1:9: `rule` must be a table, not a whole number";
    a_name_that_is_no_string: rule_refused("name = 7")
        => "p.toml:2:8: `name` must be a string, not a whole number";
    a_when_that_is_no_table: rule_refused("when = \"always\"")
        => "p.toml:3:8: `when` must be a table, not a string";
    a_condition_of_the_wrong_type: rule_refused("when = { user = 1000 }")
        => "p.toml:3:17: `user` must be a string or a list of strings, not a whole number";
    a_list_with_something_else_in_it: rule_refused("when = { user = [\"alice\", 7] }")
        => "p.toml:3:27: `user` must be a string, not a whole number";
    a_floor_that_is_no_boolean: rule_refused("floor = \"yes\"")
        => "p.toml:5:9: `floor` must be true or false, not a string";

    // Rules.
    an_empty_rule: refused("[[rule]]\n")
        => "p.toml:1:1: the rule is empty; it needs name, when and require";
    a_rule_without_a_name: refused("[[rule]]\nwhen = {}\nrequire = \"any\"\n")
        => "p.toml:1:1: a rule has no `name`";
    a_rule_without_when: refused("[[rule]]\nname = \"r\"\nrequire = \"any\"\n")
        => "p.toml:1:1: a rule has no `when`; for a rule that applies to every login, write `when = {}`";
    a_rule_without_require: refused("[[rule]]\nname = \"r\"\nwhen = {}\n")
        => "p.toml:1:1: a rule has no `require`";
    an_empty_name: rule_refused("name = \" \"")
        => "p.toml:2:8: the rule's name is empty; it is what records and reports call it by";
    a_name_that_forges_a_log_line: rule_refused(r#"name = "r\nroot: granted""#)
        => r#"p.toml:2:8: the rule's name "r\nroot: granted" holds blanks at an end or characters that cannot be seen"#;
    a_name_that_turns_the_reading_order: rule_refused(r#"name = "a\u202Eb""#)
        => r#"p.toml:2:8: the rule's name "a\u{202e}b" holds blanks at an end or characters that cannot be seen"#;
    a_floor_that_demands_nothing: refused("[[rule]]\nname = \"r\"\nwhen = {}\nrequire = \"none\"\nfloor = true\n")
        => "p.toml:4:11: a floor only tightens, and `require = \"none\"` demands nothing; leave `floor` out to exempt these logins";
    two_rules_of_one_name: refused(&[rule_with("floor = true"), rule_with("floor = false")].join("\n"))
        => "p.toml:7:8: p.toml:2 has a rule of this name";

    // Requirements.
    a_requirement_of_another_word: rule_refused("require = \"totp\"")
        => "p.toml:4:11: `require` cannot be \"totp\"; write \"none\", \"any\", \"deny\" or a table such as { any = [\"totp\"], count = 1 }";
    a_requirement_of_another_type: rule_refused("require = true")
        => "p.toml:4:11: `require` cannot be this; write \"none\", \"any\", \"deny\" or a table such as { any = [\"totp\"], count = 1 }";
    an_empty_requirement: rule_refused("require = {}")
        => "p.toml:4:11: `require` is empty; for any factor the user has, write \"any\"";
    an_unknown_factor: rule_refused("require = { any = [\"totp\", \"fido2\"] }")
        => "p.toml:4:28: there is no factor \"fido2\"; there are totp, hotp, backup-codes";
    a_factor_twice: rule_refused("require = { any = [\"totp\", \"totp\"] }")
        => "p.toml:4:28: \"totp\" is listed twice";
    no_factors: rule_refused("require = { any = [] }")
        => "p.toml:4:19: `any` is an empty list: it would match nothing";
    a_count_of_zero: rule_refused("require = { count = 0 }")
        => "p.toml:4:21: `count` is 0; it must be 1 to 3";
    a_negative_count: rule_refused("require = { count = -1 }")
        => "p.toml:4:21: `count` is -1; it must be 1 to 3";
    a_count_beyond_the_range: rule_refused("require = { count = 4 }")
        => "p.toml:4:21: `count` is 4; it must be 1 to 3";
    a_count_beyond_every_integer: rule_refused("require = { count = 99999999999999999999 }")
        => "p.toml:4:21: `count` is 99999999999999999999; it must be 1 to 3";
    a_count_beyond_the_list: rule_refused("require = { any = [\"totp\", \"hotp\"], count = 3 }")
        => "p.toml:4:45: `count` is 3, but there are only 2 factors to choose from";
    a_count_that_is_no_number: rule_refused("require = { count = 1.5 }")
        => "p.toml:4:21: `count` must be a whole number, not a number with a fraction";

    // Patterns.
    an_empty_pattern: rule_refused("when = { user = \"\" }")
        => "p.toml:3:17: `user` holds an empty pattern; a glob is meant: a name, where `*` stands for any characters and `?` for one";
    an_empty_list_of_patterns: rule_refused("when = { group = [] }")
        => "p.toml:3:18: `group` is an empty list: it would match nothing";
    a_regular_expression: rule_refused("when = { user = \"^ali(ce|x)$\" }")
        => "p.toml:3:17: \"^ali(ce|x)$\" looks like a regular expression; a glob is meant: `*` stands for any characters, `?` for one, and nothing else is special";
    a_list_in_one_string: rule_refused("when = { service = \"sshd, sudo\" }")
        => "p.toml:3:20: \"sshd, sudo\" holds a comma; write a list: [\"one\", \"other\"]";
    a_pattern_with_blanks_around_it: rule_refused("when = { service = \" sshd\" }")
        => "p.toml:3:20: \" sshd\" holds blanks at an end or control characters, which no name has";
    a_sudoers_pattern: rule_refused("when = { user = \"%wheel\" }")
        => "p.toml:3:17: \"%wheel\" looks like sudoers or access.conf; there are no `!`, `%`, `@`, `+` or ALL here: put exceptions in a rule above, name groups with `group`, and leave a condition out to match all";

    // Networks.
    an_impossible_network: rule_refused("when = { network = \"10.0.0.0/33\" }")
        => "p.toml:3:20: \"10.0.0.0/33\" is no network; write ADDRESS/PREFIX such as 10.20.0.0/16 or 2001:db8::/32, one address, or the word \"local\"";
    a_host_name_for_a_network: rule_refused("when = { network = [\"local\", \"example.org\"] }")
        => "p.toml:3:30: \"example.org\" is no network; write ADDRESS/PREFIX such as 10.20.0.0/16 or 2001:db8::/32, one address, or the word \"local\"";
    a_network_that_is_an_address_in_it: rule_refused("when = { network = \"10.20.1.5/16\" }")
        => "p.toml:3:20: \"10.20.1.5/16\" has bits set beyond its prefix; the network is 10.20.0.0/16";

    // [unenrolled].
    an_unenrolled_without_action: refused("[unenrolled]\n")
        => "p.toml:1:1: [unenrolled] has no `action`";
    an_unenrolled_of_another_action: refused("[unenrolled]\naction = \"Allow\"\n")
        => "p.toml:2:10: `action` cannot be \"Allow\"; it is \"deny\", \"allow\" or \"enroll\"";
    an_unenrolled_with_another_key: refused("[unenrolled]\naction = \"deny\"\nafter = 1\n")
        => "p.toml:3:1: unknown key `after` in [unenrolled]; known are action, until";
    a_date_without_a_time: refused("[unenrolled]\naction = \"allow\"\nuntil = 2027-01-31\n")
        => "p.toml:3:9: `until` needs date, time and offset, as in 2027-01-31T00:00:00Z or 2027-01-31T00:00:00+01:00";
    a_time_without_an_offset: refused("[unenrolled]\naction = \"allow\"\nuntil = 2027-01-31T00:00:00\n")
        => "p.toml:3:9: `until` needs date, time and offset, as in 2027-01-31T00:00:00Z or 2027-01-31T00:00:00+01:00";
    a_date_that_does_not_exist: refused("[unenrolled]\naction = \"allow\"\nuntil = 2027-02-30T00:00:00Z\n")
        => "p.toml:3:9: not TOML: invalid date, expected day between 01 and 28";
    a_date_in_quotes: refused("[unenrolled]\naction = \"allow\"\nuntil = \"2027-01-31T00:00:00Z\"\n")
        => "p.toml:3:9: `until` must be a date and time such as 2027-01-31T00:00:00Z, not a string";
    a_date_after_which_nothing_changes: refused("[unenrolled]\naction = \"deny\"\nuntil = 2027-01-31T00:00:00Z\n")
        => "p.toml:3:9: `until` means nothing with action \"deny\": what would come after it?";
}

#[test]
fn a_name_of_more_than_128_characters_is_refused() {
    assert!(plain::read(&rule_with(&format!("name = \"{}\"", "ë".repeat(128)))).is_ok());
    rule_refused(
        &format!("name = \"{}\"", "ë".repeat(129)),
        "p.toml:2:8: the rule's name is longer than 128 characters",
    );
}

#[test]
fn a_pattern_longer_than_any_name_is_refused_and_quoted_in_part() {
    let expected = format!(
        "p.toml:3:17: \"{}\"… is longer than the 256 bytes of the longest name",
        "x".repeat(64)
    );
    rule_refused(
        &format!("when = {{ user = \"{}\" }}", "x".repeat(257)),
        &expected,
    );
}

#[test]
fn a_file_of_more_than_four_mebibytes_is_refused_unread() {
    refused(
        &"#".repeat(MAX_SOURCE + 1),
        "p.toml:1:1: the file is larger than the 4194304 bytes that are read",
    );
}

#[test]
fn rules_beyond_the_twenty_thousandth_are_refused_all_sources_together() {
    let rules = |from: usize, to: usize| {
        let rule = |n| format!("[[rule]]\nname=\"{n}\"\nwhen={{}}\nrequire=\"any\"\n");
        (from..to).map(rule).collect::<Vec<_>>().concat()
    };
    let first = rules(0, MAX_RULES - 1);
    let (fits, too_many) = (
        rules(MAX_RULES, MAX_RULES + 1),
        rules(MAX_RULES, MAX_RULES + 3),
    );
    let parse = |second: &str| {
        let sources = [
            Source {
                name: "1",
                text: &first,
            },
            Source {
                name: "2",
                text: second,
            },
        ];
        Policy::parse(&sources, &VOCABULARY)
    };
    assert_eq!(parse(&fits).unwrap().rules(), MAX_RULES);
    let found = parse(&too_many).unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "2:5:1: this rule is one more than the 20000 that are read"
    );
}

#[test]
fn every_error_of_every_source_is_found_at_once_and_in_order() {
    let first = "[[rule]]\nname = \"r\"\nwhen = { usr = \"a\", network = [\"x\", \"local\", \"y\"] }\nrequire = 1\n";
    let second = "[[rule]]\nname = \"r\"\nfloor = 1\n\n[[rule\n";
    let third = "[[rule]]\nname = \"r\"\n[unenrolled]\n";
    let sources =
        [("1", first), ("2", second), ("3", third)].map(|(name, text)| Source { name, text });
    let places: Vec<String> = Policy::parse(&sources, &VOCABULARY)
        .unwrap_err()
        .iter()
        .map(|found| format!("{}:{}:{}", found.file, found.line, found.column))
        .collect();
    assert_eq!(
        places,
        [
            "1:3:10", "1:3:32", "1:3:46", "1:4:11", // a key, two networks, a requirement
            "2:5:7",  // no TOML, so looked at no further
            "3:1:1", "3:1:1", "3:2:8",
            "3:3:1", // no when, no require, a name that is taken, no action
        ]
    );
}

#[test]
fn a_flood_of_errors_is_cut_and_counted() {
    let text = (0..3_000)
        .map(|n| format!("key{n} = 1"))
        .collect::<Vec<_>>()
        .join("\n");
    let found = findings(&text);
    assert_eq!(found.len(), 501);
    assert!(
        found[500].ends_with("and 2500 more errors, not shown"),
        "{}",
        found[500]
    );
}

#[test]
fn the_caret_points_at_the_fault() {
    let text = rule_with("when = { tyt = \"tty1\" }");
    let source = Source {
        name: "p.toml",
        text: &text,
    };
    let found = Policy::parse(&[source], &VOCABULARY).unwrap_err();
    assert_eq!(
        found[0].caret().as_deref(),
        Some("3 | when = { tyt = \"tty1\" }\n  |          ^^^")
    );
}
