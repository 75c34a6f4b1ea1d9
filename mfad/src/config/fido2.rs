//! `[fido2]`: for whom security keys make their credentials, and which models may.

use mfad_protocol::hex;
use policy::document::Findings;

use super::section::Section;
use crate::{factor::fido2::MAX_RP_ID, host};

/// Most models that may be listed.
const MOST_MODELS: usize = 256;

/// `[fido2]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fido2 {
    /// The relying party of new credentials. Each credential keeps the one that it was made for.
    pub rp_id: String,
    /// The models that may be enrolled; empty: any.
    pub aaguids: Vec<[u8; 16]>,
}

impl Fido2 {
    pub(super) fn read(section: Section<'_>, findings: &mut Findings<'_>) -> Self {
        // Of the machine and not of its name: a host that is renamed keeps its keys.
        let default = format!("mfa:{}", hex::encode(&host::identity()));
        let rp_id = section.text("rp-id", &default, unfit, findings);
        let mut aaguids = Vec::new();
        if let Some(value) = section.take("aaguids") {
            let words = value.strings(findings).unwrap_or_default();
            if words.len() > MOST_MODELS {
                value.error(findings, format!("`aaguids` lists more than {MOST_MODELS}"));
            }
            for (word, span) in words {
                match parse(word) {
                    Some(aaguid) => aaguids.push(aaguid),
                    None => findings.error(
                        span,
                        "a model is an id such as \"cb69481e-8ff7-4039-93ec-0a2729a154a8\"",
                    ),
                }
            }
        }
        section.finish(findings);
        Self { rp_id, aaguids }
    }
}

fn unfit(text: &str) -> Option<String> {
    let fits = (1..=MAX_RP_ID).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    (!fits).then(|| format!("must be 1 to {MAX_RP_ID} printable ASCII characters without blanks"))
}

/// As models are listed: 32 hexadecimal digits, with or without hyphens.
fn parse(text: &str) -> Option<[u8; 16]> {
    hex::decode(&text.replace('-', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_32_digits() {
        let known = parse("CB69481E-8ff7-4039-93ec-0a2729a154a8");
        assert_eq!(known.map(|id| (id[0], id[15])), Some((0xcb, 0xa8)));
        for bad in [
            "",
            "cb69481e",
            "+b69481e8ff7403993ec0a2729a154a8",
            "cb69481e8ff7403993ec0a2729a154a8é",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_relying_party_is_a_word() {
        assert_eq!(unfit("mfa.example.org"), None);
        assert_eq!(unfit("pam://host"), None);
        for bad in ["", "two words", "a\"b", &"x".repeat(MAX_RP_ID + 1)] {
            assert!(unfit(bad).is_some(), "{bad}");
        }
    }
}
