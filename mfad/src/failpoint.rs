//! Named points at which a test can let the process die or the disk fail. Nothing of it is in a build without the
//! cargo feature `failpoints`, which no package enables.
//!
//! A plan is `NAME=ACTION@COUNT`, several joined by commas: at the visit of `NAME` with that number, `kill` ends the
//! process by SIGKILL and `error` makes the point fail with an I/O error. It comes from the environment variable
//! `MFAD_FAILPOINTS` or from `set_plan`.

/// Passes the point `$name`: `Ok(())`, unless a test planned something else.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::failpoint::reach($name)
    };
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must vanish")]
pub const fn reach(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use armed::{reach, set_plan};

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        io,
        sync::{Mutex, OnceLock, PoisonError},
    };

    struct Planned {
        name: String,
        kill: bool,
        /// Times left until it acts; 0 once it has.
        left: u64,
    }

    fn plan() -> &'static Mutex<Vec<Planned>> {
        static PLAN: OnceLock<Mutex<Vec<Planned>>> = OnceLock::new();
        PLAN.get_or_init(|| {
            Mutex::new(parse(&std::env::var("MFAD_FAILPOINTS").unwrap_or_default()))
        })
    }

    fn parse(text: &str) -> Vec<Planned> {
        text.split(',')
            .filter_map(|entry| {
                let (name, rest) = entry.split_once('=')?;
                let (action, count) = rest.split_once('@')?;
                Some(Planned {
                    name: name.into(),
                    kill: action == "kill",
                    left: count.parse().ok()?,
                })
            })
            .collect()
    }

    /// Replaces the plan.
    pub fn set_plan(text: &str) {
        *plan().lock().unwrap_or_else(PoisonError::into_inner) = parse(text);
    }

    /// Counts the visit, and acts if it is the planned one.
    pub fn reach(name: &'static str) -> io::Result<()> {
        let mut plan = plan().lock().unwrap_or_else(PoisonError::into_inner);
        for planned in plan
            .iter_mut()
            .filter(|planned| planned.name == name && planned.left > 0)
        {
            planned.left -= 1;
            if planned.left == 0 {
                if planned.kill {
                    let _never_returns = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
                }
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
        }
        Ok(())
    }
}
