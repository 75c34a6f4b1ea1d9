//! Names and paths that the world sees. Compiled in: a PAM host's environment is the caller's and is never asked.

/// The name that the daemon owns on the system bus.
pub const BUS_NAME: &str = "org.mfad.Mfad1";
/// The one object that the daemon serves, on the bus and on its sockets.
pub const OBJECT: &str = "/org/mfad/Mfad1";
/// Logins: begin, respond, cancel.
pub const AUTHENTICATION: &str = "org.mfad.Mfad1.Authentication";
/// A user's own factors.
pub const ENROLLMENT: &str = "org.mfad.Mfad1.Enrollment";
/// The administrator's acts.
pub const ADMINISTRATION: &str = "org.mfad.Mfad1.Administration";

/// The system bus. `DBUS_SYSTEM_BUS_ADDRESS` is deliberately not honoured: in `su` it is the caller's.
pub const SYSTEM_BUS_SOCKET: &str = "/run/dbus/system_bus_socket";
/// Directory of the daemon's sockets, owned by root.
pub const RUN_DIR: &str = "/run/mfad";
/// Logins by hosts that run as root (sshd, sudo, su, login). Mode 0600.
pub const PAM_SOCKET: &str = "/run/mfad/pam.sock";
/// Logins by hosts that run as the user (screen lockers). Mode 0666; a caller may only verify its own uid.
pub const USER_SOCKET: &str = "/run/mfad/user.sock";
/// The socket, in the directory of sockets, at which systemd starts the helper that asks security keys.
pub const FIDO_SOCKET: &str = "fido.sock";
/// Configuration directory.
pub const CONFIG_DIR: &str = "/etc/mfa";
/// The daemon's settings, in the configuration directory.
pub const SETTINGS_FILE: &str = "mfad.toml";
/// The policy, in the configuration directory and in the vendor's.
pub const POLICY_FILE: &str = "policy.toml";
/// Drop-ins of the policy, in the configuration directory.
pub const POLICY_DIR: &str = "policy.d";
/// The policy in the shadow, in the configuration directory.
pub const SHADOW_FILE: &str = "shadow.toml";
/// The key that seals secrets, in the configuration directory or among the service's credentials.
pub const KEY_FILE: &str = "mfad.key";
/// State directory.
pub const STATE_DIR: &str = "/var/lib/mfa";
/// Vendor defaults of the policy.
pub const VENDOR_DIR: &str = "/usr/lib/mfa";

/// The static system user that the daemon runs as.
pub const DAEMON_USER: &str = "mfad";

/// PAM environment variable in which the account phase hands the session phase its grant. Removed by `open_session`.
pub const GRANT_VARIABLE: &str = "PAM_MFA_GRANT";
