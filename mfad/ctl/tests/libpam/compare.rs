//! Seeded stacks, asked of libpam and of `mfactl::pam::predict`. Every difference is a failure.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use mfactl::pam;

use crate::{STACKS, host, seeded::Seeded};

/// Results that `pam_debug.so` can be told to give, by number: all but the last, `incomplete`, which asks for another call.
const RESULTS: &[&str] = pam::RESULTS.split_at(31).0;
const MODULE_UNKNOWN: u8 = 28;
/// Files beside the service's own. None includes one before it, so there is no circle: libpam would crash.
const FRAGMENTS: [&str; 3] = ["piece-a", "piece-b", "piece-c"];

/// The word for a result.
pub(crate) fn word(code: u8) -> &'static str {
    RESULTS[usize::from(code)]
}

pub(crate) fn seeded_stacks() {
    let count: u32 = if std::env::var_os("MFA_PROVE").is_some() {
        20_000
    } else {
        400
    };
    let mut codes: BTreeMap<Option<u8>, u32> = BTreeMap::new();
    for seed in 0..u64::from(count) {
        let files = files(&mut Seeded::new(seed));
        for (name, text) in &files {
            fs::write(Path::new(STACKS).join(name), text).unwrap();
        }
        for phase in ["auth", "account", "session"] {
            let real = host::ask("seeded", phase);
            let ours = pam::predict(Path::new("/"), "Seeded", phase, |module, arguments, _| {
                answer(module, arguments, phase)
            });
            assert_eq!(
                ours, real,
                "ours and libpam's {phase}, seed {seed}:\n{files:#?}"
            );
            *codes.entry(real).or_default() += 1;
        }
    }
    println!(
        "{count} stacks, three phases each: no difference. Codes (None: not started): {codes:?}"
    );
    let succeeded = codes.get(&Some(0)).copied().unwrap_or(0);
    assert!(
        succeeded * 10 > count,
        "too few of them succeed to say much"
    );
    assert!(
        codes.contains_key(&None) && codes.len() > 10,
        "too few outcomes to say much"
    );
}

/// Files of a service, and what libpam must say for auth: what seeds come upon too rarely.
const FIXED: &[(&[(&str, &str)], u8)] = &[
    // A reset in a second substack goes back to where that one began.
    (
        &[
            ("seeded", "auth substack piece-a\nauth substack piece-b\n"),
            ("piece-a", "auth required pam_debug.so auth=success\n"),
            (
                "piece-b",
                "auth required pam_debug.so auth=auth_err\nauth [default=reset] pam_debug.so auth=ignore\n",
            ),
        ],
        0,
    ),
    // A jump over a substack counts it as one line, and lands on what follows.
    (
        &[
            (
                "seeded",
                "auth [success=1] pam_debug.so auth=success\nauth substack piece-a\nauth required pam_debug.so auth=try_again\n",
            ),
            (
                "piece-a",
                "auth requisite pam_deny.so\nauth requisite pam_deny.so\n",
            ),
        ],
        24,
    ),
    // Done and die in a substack end only that; in an include, everything.
    (
        &[
            (
                "seeded",
                "auth substack piece-a\nauth required pam_debug.so auth=maxtries\n",
            ),
            (
                "piece-a",
                "auth sufficient pam_permit.so\nauth required pam_deny.so\n",
            ),
        ],
        11,
    ),
    (
        &[
            (
                "seeded",
                "auth include piece-a\nauth required pam_debug.so auth=maxtries\n",
            ),
            (
                "piece-a",
                "auth sufficient pam_permit.so\nauth required pam_deny.so\n",
            ),
        ],
        0,
    ),
];

pub(crate) fn fixed_stacks() {
    for (files, expected) in FIXED {
        fs::write(
            Path::new(STACKS).join("other"),
            "auth required pam_deny.so\n",
        )
        .unwrap();
        for (name, text) in *files {
            fs::write(Path::new(STACKS).join(name), text).unwrap();
        }
        let ours = pam::predict(Path::new("/"), "seeded", "auth", |module, arguments, _| {
            answer(module, arguments, "auth")
        });
        assert_eq!(
            host::ask("seeded", "auth"),
            Some(*expected),
            "libpam: {files:#?}"
        );
        assert_eq!(ours, Some(*expected), "ours: {files:#?}");
    }
}

/// What a line's module returns.
fn answer(module: &str, arguments: &[String], phase: &str) -> u8 {
    let key = match phase {
        "auth" => "auth=",
        "account" => "acct=",
        _ => "open_session=",
    };
    match module {
        "pam_debug.so" => arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(key))
            .map_or(0, |word| {
                let found = RESULTS.iter().position(|result| *result == word).unwrap();
                u8::try_from(found).unwrap()
            }),
        "pam_permit.so" => 0,
        "pam_deny.so" => match phase {
            "session" => 14,
            _ => 7,
        },
        _ => MODULE_UNKNOWN,
    }
}

fn files(seeded: &mut Seeded) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    for (index, name) in FRAGMENTS.iter().enumerate() {
        let lines = seeded.below(5);
        files.push((*name, text(seeded, lines, &FRAGMENTS[index + 1..], false)));
    }
    let lines = 1 + seeded.below(9);
    files.push(("seeded", text(seeded, lines, &FRAGMENTS, true)));
    let other = seeded.below(4);
    files.push(("other", text(seeded, other, &FRAGMENTS[2..], true)));
    files
}

/// Only a service's own file may be one that libpam gives up: an `@include` of such a file, inside of an include of one
/// phase, has it run a line whose control field it never sets (seen with valgrind), and then it agrees with nobody.
fn text(seeded: &mut Seeded, lines: usize, below: &[&str], may_be_given_up: bool) -> String {
    let mut text = String::new();
    for _ in 0..lines {
        match seeded.below(12) {
            0 => text.push_str("# auth required pam_deny.so\n"),
            1 => text.push_str(" \t\n"),
            2 | 3 if !below.is_empty() => {
                let _ = writeln!(text, "@{} {}", cased(seeded, "include"), seeded.pick(below));
            }
            _ => line(seeded, &mut text, below),
        }
    }
    if !may_be_given_up && text.trim_end().ends_with('\\') {
        text.push_str("pam_permit.so\n");
    }
    match seeded.below(80) {
        0 if may_be_given_up => text.push_str("auth required \\\n"),
        1 if may_be_given_up => text.push_str("@include missing\n"),
        2 => {
            text.pop();
        }
        _ => {}
    }
    text
}

fn line(seeded: &mut Seeded, text: &mut String, below: &[&str]) {
    let phase = *seeded.pick(&["auth", "auth", "auth", "account", "session", "password"]);
    let phase = match seeded.below(40) {
        0 => "authentication".to_owned(),
        1 => format!("[{phase}]"),
        2 => format!("-{phase}"),
        _ => cased(seeded, phase),
    };
    let gap = *seeded.pick(&[" ", "\t", "  ", " \\\n ", " \\ \t\n# between\n", " "]);
    let _ = write!(text, "{phase}{gap}");
    if seeded.one_in(6) {
        let word = if seeded.one_in(2) {
            "include"
        } else {
            "substack"
        };
        let word = cased(seeded, word);
        let file = if below.is_empty() || seeded.one_in(20) {
            "missing"
        } else {
            seeded.pick(below)
        };
        let _ = writeln!(text, "{word}{gap}{file}");
        return;
    }
    let control = control(seeded);
    let _ = write!(text, "{control}{gap}");
    let module = match seeded.below(20) {
        0 => "pam_permit.so".to_owned(),
        1 => "pam_deny.so".to_owned(),
        2 => "pam_not_there.so".to_owned(),
        3 if seeded.one_in(2) => String::new(),
        _ => {
            let result = |seeded: &mut Seeded| {
                if seeded.one_in(2) {
                    "success"
                } else {
                    *seeded.pick(RESULTS)
                }
            };
            format!(
                "pam_debug.so auth={} acct={} open_session={}",
                result(seeded),
                result(seeded),
                result(seeded)
            )
        }
    };
    text.push_str(&module);
    text.push_str(seeded.pick::<&str>(&["\n", "\n", "\n", " # and so on\n", "\t \n"]));
}

fn control(seeded: &mut Seeded) -> String {
    if seeded.one_in(2) {
        let word = *seeded.pick(&["required", "requisite", "sufficient", "optional"]);
        return match seeded.below(30) {
            0 => word[1..].to_owned(),
            1 => format!("[{word}]"),
            _ => cased(seeded, word),
        };
    }
    let mut pairs = Vec::new();
    for _ in 0..=seeded.below(4) {
        let result = match seeded.below(4) {
            0 => "success",
            1 => "default",
            _ => seeded.pick(RESULTS),
        };
        let number = (1 + seeded.below(4)).to_string();
        let action = *seeded.pick(&[
            "ok", "done", "bad", "die", "ignore", "reset", "reset", &number, &number, "ok", "ok",
            "ignore",
        ]);
        let equals = *seeded.pick(&["=", "=", "=", " = ", "= "]);
        pairs.push(format!("{result}{equals}{action}"));
    }
    if seeded.one_in(30) {
        pairs.push(
            (*seeded.pick(&[
                "OK=ok",
                "success=okay",
                "success=0",
                "default=",
                "ignore",
                "# x",
            ]))
            .to_owned(),
        );
    }
    let between = *seeded.pick(&[" ", " ", "  ", "\t"]);
    let close = if seeded.one_in(40) { "" } else { "]" };
    format!("[{}{close}", pairs.join(between))
}

fn cased(seeded: &mut Seeded, word: &str) -> String {
    match seeded.below(8) {
        0 => word.to_uppercase(),
        1 => format!("{}{}", word[..1].to_uppercase(), &word[1..]),
        _ => word.to_owned(),
    }
}
