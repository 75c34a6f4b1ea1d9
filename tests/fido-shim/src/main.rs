//! `mfad-fido`, linked with the fake hidapi.

use std::process::ExitCode;

fn main() -> ExitCode {
    mfad_fido::run()
}
