//! Whether a Debian mirror can be reached from here. Asks by apt, which knows of proxies and keys; fetches one small file
//! and makes nothing of it.

use std::{fs, path::Path, process::Command};

use crate::Failure;

/// Where Debian is if this machine's own list of mirrors does not say.
const DEFAULT: &str = "http://deb.debian.org/debian";

/// This machine's own list of mirrors, if it has one.
pub(super) fn sources() -> Option<&'static str> {
    [
        "/etc/apt/sources.list.d/debian.sources",
        "/etc/apt/sources.list",
    ]
    .into_iter()
    .find(|list| fs::metadata(list).is_ok_and(|found| found.len() > 0))
}

/// Why no mirror in the file `sources` hands out `suite`, or `None` if one does. Writes into `scratch`.
pub(super) fn silent(
    suite: &str,
    sources: Option<&str>,
    scratch: &Path,
) -> Result<Option<String>, Failure> {
    let list = sources.map(fs::read_to_string).transpose()?;
    let addresses = list
        .as_deref()
        .map_or_else(|| vec![DEFAULT.to_owned()], addresses);
    let mut first = None;
    for address in &addresses {
        // A mirror on a disk needs no network; whether it is good shows when it is used.
        if !address.starts_with("http") {
            return Ok(None);
        }
        match refusal(suite, address, scratch)? {
            None => return Ok(None),
            Some(reason) => first = first.or(Some(reason)),
        }
    }
    Ok(first.map(|reason| format!("no Debian mirror answers ({reason})")))
}

/// What apt says if it cannot fetch the index of `suite` from the mirror at `address`.
fn refusal(suite: &str, address: &str, scratch: &Path) -> Result<Option<String>, Failure> {
    let file = scratch.join("mirror.probe");
    let address = format!("{}/dists/{suite}/InRelease", address.trim_end_matches('/'));
    let output = Command::new("/usr/lib/apt/apt-helper")
        .args(["-o", "Acquire::Retries=0"])
        .args(["-o", "Acquire::http::Timeout=15"])
        .args(["-o", "Acquire::https::Timeout=15"])
        .args(["download-file", &address])
        .arg(&file)
        .env("LC_ALL", "C")
        .output()?;
    let _ = fs::remove_file(&file);
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said
        .lines()
        .find_map(|line| line.strip_prefix("E: "))
        .unwrap_or("apt does not say why");
    Ok(Some(said.trim().to_owned()))
}

/// The addresses in a list of mirrors, in either of apt's formats, each once.
fn addresses(list: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in list.lines() {
        let line = line.trim_start();
        let words = line.split_whitespace();
        let named = if let Some(uris) = line.strip_prefix("URIs:") {
            uris.split_whitespace().collect::<Vec<_>>()
        } else if line.starts_with("deb ") || line.starts_with("deb\t") {
            // Options in brackets may hold no address of a mirror.
            words.filter(|word| word.contains("://")).take(1).collect()
        } else {
            Vec::new()
        };
        for address in named {
            if !found.iter().any(|known| known == address) {
                found.push(address.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn both_formats_of_a_list_are_read() {
        let list = "# deb http://old/ x\nTypes: deb\nURIs: http://a/debian https://b/debian/\nSuites: bookworm\n\n\
                    deb [arch=amd64 signed-by=/k] http://c/debian bookworm main\ndeb-src http://d/ bookworm main\n\
                    deb http://a/debian bookworm-updates main\n";
        assert_eq!(
            addresses(list),
            ["http://a/debian", "https://b/debian/", "http://c/debian"]
        );
    }
}
