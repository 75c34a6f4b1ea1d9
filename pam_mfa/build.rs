//! Link arguments of the module. They belong to the crate, so that no way of building it can forget them.

fn main() {
    // Unloaded code must not be called back: the panic hook and thread-local destructors outlive `pam_end`.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,now");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,relro");
    // A module that misses a symbol fails here and not in the middle of a login.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    println!("cargo:rerun-if-changed=build.rs");
}
