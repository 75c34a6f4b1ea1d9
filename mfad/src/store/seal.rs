//! Sealing of secrets.
