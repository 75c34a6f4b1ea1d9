//! `mfactl pam check` on machines whose truth is known: none of the good ones alarms, each mistake is found; and where a
//! finding names a way through a stack, the real libpam goes it to the same end.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use mfactl::pam::{
    Finding, Severity, Tree,
    check::{self, Report},
};

use crate::{STACKS, broken, good, host, machine, seeded::Seeded};

const PATIENCE: Duration = Duration::from_secs(10);

fn rounds() -> u64 {
    if std::env::var_os("MFA_PROVE").is_some() {
        60
    } else {
        15
    }
}

fn examine(machine: &machine::Machine) -> Report {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    machine.write(root.path());
    check::examine(&Tree::new(root.path()), PATIENCE)
}

pub(crate) fn good_machines() {
    let mut count = 0;
    for (number, (name, make)) in (0..).zip(good::ALL) {
        for round in 0..rounds() {
            let mut machine = make();
            // The first of each is as it is shipped.
            if round > 0 {
                machine::redress(&mut machine, &mut Seeded::new(number * 1000 + round));
            }
            let report = examine(&machine);
            let alarms: Vec<&Finding> = report
                .findings
                .iter()
                .filter(|finding| finding.severity > Severity::Note)
                .collect();
            assert!(
                alarms.is_empty(),
                "{name}, round {round}: {alarms:#?}\n{:#?}",
                machine.stacks
            );
            assert!(!report.services.is_empty(), "{name}: it asks nowhere");
            count += 1;
        }
    }
    println!("{count} good machines: no hole, no risk reported");
}

pub(crate) fn broken_machines() {
    let rounds = rounds().div_ceil(4);
    let (mut count, mut holes) = (0, 0);
    let mut confirmed = 0;
    let mut by_rule: BTreeMap<&str, u32> = BTreeMap::new();
    for (number, mistake) in (0..).zip(broken::all()) {
        for round in 0..rounds {
            let mut seeded = Seeded::new(1_000_000 + number * 1000 + round);
            let mut machine = (mistake.on)();
            (mistake.make)(&mut machine, &mut seeded);
            if round > 0 {
                machine::redress(&mut machine, &mut seeded);
            }
            let report = examine(&machine);
            let found = report.findings.iter().find(|finding| {
                mistake.rules.contains(&finding.rule) && finding.severity >= mistake.severity
            });
            let found = found.unwrap_or_else(|| {
                panic!(
                    "{}, round {round}, was not found: {report:#?}\n{:#?}",
                    mistake.name, machine.stacks
                )
            });
            *by_rule.entry(found.rule).or_default() += 1;
            if mistake.severity == Severity::Hole {
                holes += 1;
            }
            for finding in &report.findings {
                confirmed += u32::from(goes_in(&machine, finding));
            }
            count += 1;
        }
    }
    println!(
        "{count} broken machines of {} kinds ({holes} with a hole): every one found; {confirmed} ways confirmed by libpam",
        broken::all().count()
    );
    println!("found by: {by_rule:?}");
    assert!(confirmed >= count / 3, "too few ways to confirm");
}

/// Has libpam go the way of a finding: each module on it becomes a `pam_debug.so` that answers what the way says, every
/// other one that refuses. False where the finding names none.
fn goes_in(machine: &machine::Machine, finding: &Finding) -> bool {
    let Some(way) = &finding.way else {
        return false;
    };
    let mut answers: BTreeMap<(String, u32), u8> = BTreeMap::new();
    for (place, code) in &way.steps {
        let key = (place.file.clone(), place.line);
        // A file that is included twice answers differently in its two places, which one text cannot say.
        if answers
            .insert(key, *code)
            .is_some_and(|before| before != *code)
        {
            return false;
        }
    }
    for entry in fs::read_dir(STACKS).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, text) in &machine.stacks {
        let path = format!("{STACKS}/{name}");
        let lines: Vec<String> = (1..)
            .zip(text.lines())
            .map(|(number, line)| scripted(line, answers.get(&(path.clone(), number)).copied()))
            .collect();
        fs::write(Path::new(STACKS).join(name), lines.join("\n") + "\n").unwrap();
    }
    let service = finding.service.split(", ").next().unwrap();
    let answer = host::ask(service, way.phase);
    let in_after_all = answer == Some(0) || (way.phase == "account" && answer == Some(12));
    assert!(
        in_after_all,
        "libpam answers {answer:?} on the way of {finding:#?}\n{:#?}",
        machine.stacks
    );
    true
}

fn scripted(line: &str, answer: Option<u8>) -> String {
    let code = line.split('#').next().unwrap_or_default();
    let Some(end) = code.find(".so") else {
        return line.to_owned();
    };
    let start = code[..end].rfind([' ', '\t', ']']).map_or(0, |at| at + 1);
    let word = answer.map_or("perm_denied", crate::compare::word);
    format!(
        "{}pam_debug.so auth={word} acct={word} open_session={word} prechauthtok={word} chauthtok={word}",
        &line[..start]
    )
}
