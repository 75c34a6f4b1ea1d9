//! The cases, each named as a sentence that is true when it passes. One table a theme; this file only joins them.

pub mod abuse;
pub mod agent;
pub mod bed;
pub mod bus;
pub mod checked;
pub mod conditions;
pub mod critical;
pub mod daemon;
pub mod drive;
pub mod enumeration;
pub mod explained;
pub mod helper;
pub mod hygiene;
pub mod leaving;
pub mod login;
pub mod memory;
pub mod panics;
pub mod passwd;
pub mod polkit;
pub mod profile;
mod programs;
pub mod reload;
pub mod rollout;
pub mod sealed;
pub mod seat;
pub mod security_key;
pub mod situations;
pub mod ssh;
pub mod step_up;
pub mod store;
pub mod su;
pub mod sudo;
pub mod vectors;
pub mod vm;

use std::time::Duration;

use crate::{Outcome, bed::Kind, host::Host};

/// What must be installed on the bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The product.
    Product,
    /// Nothing of ours: the case shows that the bed and the harness work.
    BedOnly,
}

/// One thing that is tried.
#[derive(Debug)]
pub struct Case {
    /// What is true when it passes.
    pub name: &'static str,
    /// What must be installed.
    pub needs: Needs,
    /// Where it makes sense.
    pub beds: &'static [Kind],
    /// How long it may take once the bed is up.
    pub limit: Duration,
    /// Only with the full counts (`MFA_PROVE`): it takes long, and what it finds changes seldom.
    pub only_in_full: bool,
    /// A program of the bed's without which it is skipped.
    pub program: Option<&'static str>,
    /// Tries it.
    pub run: fn(&Host) -> Outcome,
}

/// Both quick beds.
pub const EVERYWHERE: &[Kind] = &[Kind::Namespaces, Kind::Nspawn];
/// All beds. The virtual machine is slow: only for a few cases that show that it is a machine like the others.
pub const IN_A_MACHINE_TOO: &[Kind] = &[Kind::Namespaces, Kind::Nspawn, Kind::Vm];
/// For what needs a kernel of its own: security keys, limits of units.
pub const IN_A_MACHINE: &[Kind] = &[Kind::Vm];
/// For what systemd does.
pub const WITH_SYSTEMD: &[Kind] = &[Kind::Nspawn];
/// For what happens without systemd.
pub const WITHOUT_SYSTEMD: &[Kind] = &[Kind::Namespaces];

impl Case {
    /// A case of the product, on both quick beds, within two minutes (on the virtual machine, ten).
    pub const fn new(name: &'static str, run: fn(&Host) -> Outcome) -> Self {
        Self {
            name,
            needs: Needs::Product,
            beds: EVERYWHERE,
            limit: Duration::from_mins(2),
            only_in_full: false,
            program: None,
            run,
        }
    }

    /// The same on these beds only.
    #[must_use]
    pub const fn on(mut self, beds: &'static [Kind]) -> Self {
        self.beds = beds;
        self
    }

    /// The same with more (or less) time, in seconds.
    #[must_use]
    pub const fn within(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// The same with the full counts only.
    #[must_use]
    pub const fn only_in_full(mut self) -> Self {
        self.only_in_full = true;
        self
    }

    /// The same where this machine, and so a bed of namespaces, has that program.
    #[must_use]
    pub const fn with_program(mut self, name: &'static str) -> Self {
        self.program = Some(name);
        self
    }

    /// The same without the product.
    #[must_use]
    pub const fn of_the_bed(mut self) -> Self {
        self.needs = Needs::BedOnly;
        self
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        bed::CASES,
        situations::CASES,
        ssh::CASES,
        sudo::CASES,
        critical::CASES,
        step_up::CASES,
        su::CASES,
        login::CASES,
        passwd::CASES,
        rollout::CASES,
        profile::CASES,
        polkit::CASES,
        sealed::CASES,
        daemon::CASES,
        reload::CASES,
        abuse::CASES,
        bus::CASES,
        checked::CASES,
        leaving::CASES,
        store::CASES,
        enumeration::CASES,
        explained::CASES,
        panics::CASES,
        memory::CASES,
        vectors::CASES,
        vm::CASES,
        security_key::CASES,
        seat::CASES,
        helper::CASES,
        seat::hostile::CASES,
        seat::pins::CASES,
        seat::enrolling::CASES,
        seat::others::CASES,
        hygiene::CASES,
    ]
    .into_iter()
    .chain(agent::CASES)
    .chain(conditions::CASES)
    .flatten()
}
