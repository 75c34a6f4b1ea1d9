//! `mfactl trust` and `mfactl user trust`: remembered devices, shown and forgotten. What makes a device one is the daemon's.

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use mfad_protocol::DeviceInfo;
use serde_json::{Value, json};

use crate::administration;
use crate::client::failure;
use crate::command::Console;
use crate::failure::Failure;
use crate::render;

/// Your own remembered devices.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Show the devices that stand in for your factor, and until when
    List,
    /// Forget devices: the next login from them asks again
    #[command(after_help = "\
Examples:
  mfactl trust revoke 3f2a91c0        an id as `mfactl trust list` shows it, or how it begins
  mfactl trust revoke --all           all of them, and what was proven in your sessions")]
    Revoke(Which),
}

/// A user's remembered devices.
#[derive(Debug, Subcommand)]
pub enum UserTrustCommand {
    /// Show the devices that stand in for a user's factor
    List {
        /// Login name
        user: String,
    },
    /// Forget a user's devices
    #[command(after_help = "Example: sudo mfactl user trust revoke alice --all")]
    Revoke {
        /// Login name
        user: String,
        /// Which of them.
        #[command(flatten)]
        which: Which,
    },
}

/// One device, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Id of the device, or how it begins (four digits at least)
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub device: Option<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

impl Which {
    /// As the daemon takes it.
    fn word(&self) -> &str {
        self.device.as_deref().unwrap_or_default()
    }
}

/// `mfactl trust …`.
pub async fn own(console: &mut Console<'_>, command: TrustCommand) -> Result<(), Failure> {
    let proxy = console.client.enrollment().await?;
    match command {
        TrustCommand::List => {
            let devices = proxy.list_devices().await.map_err(failure)?;
            list(console, &devices, "No device is remembered for you.\n")
        }
        TrustCommand::Revoke(which) => {
            let count = proxy.revoke_devices(which.word()).await.map_err(failure)?;
            revoked(console, count)
        }
    }
}

/// `mfactl user trust …`.
pub async fn of_user(console: &mut Console<'_>, command: UserTrustCommand) -> Result<(), Failure> {
    let proxy = console.administration().await?;
    match command {
        UserTrustCommand::List { user } => {
            let devices = proxy
                .list_devices(&user)
                .await
                .map_err(|error| administration::failure(console, error))?;
            let none = format!("No device is remembered for {}.\n", render::shown(&user));
            list(console, &devices, &none)
        }
        UserTrustCommand::Revoke { user, which } => {
            let count = proxy
                .revoke_devices(&user, which.word())
                .await
                .map_err(|error| administration::failure(console, error))?;
            revoked(console, count)
        }
    }
}

fn list(console: &mut Console<'_>, devices: &[DeviceInfo], none: &str) -> Result<(), Failure> {
    let json = Value::Array(devices.iter().map(device_json).collect());
    let text = if devices.is_empty() {
        none.to_owned()
    } else {
        rows(devices, &console.zone)
    };
    console.show(&json, &text)
}

fn rows(devices: &[DeviceInfo], zone: &TimeZone) -> String {
    let titles = ["DEVICE", "SINCE", "UNTIL", "LAST USED", "RECOGNIZED BY"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(devices.iter().map(|device| {
        let used = device.last_used.map(|time| render::moment(time, zone));
        vec![
            render::shown(&device.id),
            render::moment(device.created, zone),
            render::moment(device.expires, zone),
            used.unwrap_or_else(|| "never".to_owned()),
            render::shown(&device.label),
        ]
    }));
    render::table(&rows)
}

fn device_json(device: &DeviceInfo) -> Value {
    json!({
        "id": render::shown(&device.id),
        "label": render::shown(&device.label),
        "created": device.created,
        "expires": device.expires,
        "last_used": device.last_used,
    })
}

fn revoked(console: &mut Console<'_>, count: u32) -> Result<(), Failure> {
    let text = match count {
        0 => {
            "No device was remembered. What was proven in open sessions is forgotten.\n".to_owned()
        }
        1 => "Forgot 1 device.\n".to_owned(),
        count => format!("Forgot {count} devices.\n"),
    };
    console.show(&json!({"forgotten": count}), &text)
}
