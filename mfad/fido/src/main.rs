//! The program: systemd hands it one connection of `mfad` as standard input (`mfad-fido@.service`). What it does is in the
//! library, which the tests build against a key in software.

use std::process::ExitCode;

fn main() -> ExitCode {
    if !mfad_fido::confine() {
        return ExitCode::FAILURE;
    }
    mfad_fido::run()
}
