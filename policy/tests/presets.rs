//! The presets as they are shipped: each holds what it promises, and each piece of it is needed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

use std::{fs, path::PathBuf};

use policy::{
    Concern, Policy, Source, Vocabulary,
    preset::{Preset, Row, Standing, Throttle},
};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    phishing_resistant: &["fido2"],
    user_verified: &["fido2"],
    ..Vocabulary::new(&["totp", "backup-codes", "fido2"])
};

fn packaged(file: &str) -> String {
    let policies = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../packaging/policy");
    fs::read_to_string(policies.join(file)).unwrap()
}

fn preset(preset: Preset) -> String {
    packaged(&format!("presets/{}.toml", preset.word()))
}

/// With the vendor's defaults below, as on an installed system.
fn parse(text: &str) -> Policy {
    let vendor = packaged("vendor.toml");
    let source = |name, text| Source { name, text };
    let sources = [source("preset", text), source("vendor", &vendor)];
    Policy::parse(&sources, &VOCABULARY).unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
}

fn lacking(rows: &[Row]) -> Vec<String> {
    let text = |row: &Row| match &row.standing {
        Standing::Lacking(what) => Some(format!("{}: {what}", row.source)),
        Standing::Met | Standing::Beyond => None,
    };
    rows.iter().filter_map(text).collect()
}

fn compare(preset: Preset, text: &str) -> Vec<String> {
    lacking(&parse(text).compare(preset, &Throttle::default()))
}

/// The tables of a preset that demand something: its floors, and what it does with the unenrolled.
fn demands(text: &str) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with('[') {
            tables.push(String::new());
        }
        if let Some(table) = tables.last_mut() {
            table.push_str(line);
            table.push('\n');
        }
    }
    tables.retain(|table| table.contains("floor   = true") || table.starts_with("[unenrolled]"));
    tables
}

#[test]
fn each_preset_passes_its_own_check() {
    for one in Preset::ALL {
        assert_eq!(compare(one, &preset(one)), Vec::<String>::new(), "{one:?}");
    }
}

#[test]
fn without_any_one_of_its_demands_a_preset_fails_its_check() {
    for one in Preset::ALL {
        let text: String = preset(one)
            .lines()
            .filter(|line| !line.starts_with('#'))
            .fold(String::new(), |text, line| text + line + "\n");
        let demands = demands(&text);
        assert!(demands.len() >= 2, "{one:?}");
        for piece in &demands {
            let without = text.replace(piece.as_str(), "");
            assert_ne!(text, without, "{one:?}");
            assert_ne!(
                compare(one, &without),
                Vec::<String>::new(),
                "{one:?} without\n{piece}"
            );
        }
    }
}

#[test]
fn each_demand_is_needed_as_strong_as_it_is() {
    let weaker = [
        (Preset::Aal2, "max-age = \"1h\"", "max-age = \"61m\""),
        (Preset::Aal2, "user-verified = true, ", ""),
        (
            Preset::Aal2,
            "first-factor = \"password\"",
            "first-factor = [\"password\", \"publickey\"]",
        ),
        (
            Preset::Aal2,
            "when    = {}",
            "when    = { service = \"sshd\" }",
        ),
        (
            Preset::Aal2,
            "when    = {}",
            "when    = { not = { network = \"10.0.0.0/8\" } }",
        ),
        (
            Preset::Aal2,
            "when    = {}",
            "when    = { time = \"00:00-24:00 UTC\" }",
        ),
        (Preset::Aal2, "action = \"enroll\"", "action = \"allow\""),
        (Preset::Aal3, "phishing-resistant = true, ", ""),
        (Preset::Aal3, "user-verified = true, ", ""),
        (Preset::Aal3, "max-age = \"15m\"", "max-age = \"16m\""),
        (Preset::Aal3, "action = \"deny\"", "action = \"enroll\""),
        (Preset::Pci, "max-age = \"15m\"", "max-age = \"1h\""),
        (Preset::Pci, "user-verified = true, ", ""),
        (Preset::Home, "for = \"30d\"", "for = \"31d\""),
        (
            Preset::Home,
            "user = \"root\" }",
            "user = \"root\", service = \"sshd\" }",
        ),
        (Preset::Home, "risk = \">= high\"", "risk = \"medium\""),
    ];
    for (one, strong, weak) in weaker {
        let text = preset(one);
        let weakened = text.replace(strong, weak);
        assert_ne!(text, weakened, "{one:?} {strong}");
        assert_ne!(
            compare(one, &weakened),
            Vec::<String>::new(),
            "{one:?} {weak}"
        );
    }
}

#[test]
fn what_others_add_is_compared_too() {
    let remembering = "[[rule]]\nname = \"r\"\nwhen = {}\nrequire = \"any\"\nremember = { for = \"1h\", bind = \"ssh-key\" }\n";
    for one in [Preset::Aal2, Preset::Aal3, Preset::Pci] {
        let text = format!("{remembering}{}", preset(one));
        let [only] = &compare(one, &text)[..] else {
            panic!("{one:?}");
        };
        assert!(only.ends_with("`remember` in \"r\" (preset:1)"), "{only}");
        // A floor is stronger than any exemption.
        let exempt = "[[rule]]\nname = \"office\"\nwhen = { network = \"10.0.0.0/8\" }\nrequire = \"none\"\n";
        assert_eq!(
            compare(one, &format!("{exempt}{}", preset(one))),
            Vec::<String>::new()
        );
        assert!(compare(one, exempt).len() >= 3);
    }
}

#[test]
fn the_daemons_delays_count_for_pci() {
    let policy = parse(&preset(Preset::Pci));
    let lacks = |throttle: Throttle| lacking(&policy.compare(Preset::Pci, &throttle)).len();
    let usual = Throttle::default();
    for (throttle, expected) in [
        (usual, 0),
        (
            Throttle {
                free: 9,
                first_delay: 1800,
                ..usual
            },
            0,
        ),
        (
            Throttle {
                free: 10,
                first_delay: 3600,
                ..usual
            },
            1,
        ),
        (
            Throttle {
                free: 9,
                first_delay: 1799,
                ..usual
            },
            1,
        ),
        (
            Throttle {
                max_delay: 1799,
                ..usual
            },
            1,
        ),
    ] {
        assert_eq!(lacks(throttle), expected, "{throttle:?}");
    }
}

#[test]
fn no_preset_has_a_rule_that_says_nothing() {
    for one in Preset::ALL {
        let concerns: Vec<Concern> = parse(&preset(one))
            .review()
            .warnings
            .iter()
            .map(|warning| warning.concern)
            .collect();
        assert_eq!(concerns, Vec::<Concern>::new(), "{one:?}");
    }
}

#[test]
fn where_no_factor_is_strong_a_preset_that_demands_one_says_so() {
    let text = preset(Preset::Aal3);
    let codes = Vocabulary::new(&["totp"]);
    let policy = Policy::parse(
        &[Source {
            name: "p",
            text: &text,
        }],
        &codes,
    )
    .unwrap();
    assert_eq!(policy.review().warnings[0].concern, Concern::CannotBeMet);
}
