//! FIDO2 keys plugged into this machine: what is kept of one, and what a signature of it must look like. Pure functions: the
//! keys are `mfad-fido`'s business, and it is not believed.

mod assertion;
mod attestation;
mod auth_data;
mod cbor;
mod client_data;
mod cose;
mod der;
pub mod pam_u2f;
mod record;

pub use assertion::{Expected, Proven, Refusal, verify};
pub use attestation::{Made, Statement, Unattested, Wanted, examine};
pub use client_data::{ClientData, challenge};
pub use cose::PublicKey;
pub use record::{MAX_CREDENTIAL_ID, MAX_RP_ID, Registered};

#[cfg(test)]
mod mutation;
#[cfg(test)]
mod software;
#[cfg(test)]
mod vectors;
