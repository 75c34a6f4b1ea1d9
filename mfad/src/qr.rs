//! A QR code in plain ASCII, for terminals about which nothing is known.

use qrcode::{Color, EcLevel, QrCode};

/// Columns that every terminal has.
const COLUMNS: usize = 80;

/// The lines of a QR code for `text`; none if it does not fit into 80 columns (the secret can still be typed).
///
/// A light module is drawn as `##`: on a dark terminal, the usual case, that gives dark on light as ISO 18004 wants it;
/// on a light one it is inverted, which today's readers accept.
pub fn ascii(text: &str) -> Vec<String> {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else {
        return Vec::new();
    };
    let width = code.width();
    let quiet = if (width + 4) * 2 <= COLUMNS { 2 } else { 1 };
    if (width + 2 * quiet) * 2 > COLUMNS {
        return Vec::new();
    }
    let colors = code.to_colors();
    let margin = "##".repeat(width + 2 * quiet);
    let edge = "##".repeat(quiet);
    let rows = colors.chunks(width).map(|row| {
        let modules: String = row
            .iter()
            .map(|color| if *color == Color::Light { "##" } else { "  " })
            .collect();
        format!("{edge}{modules}{edge}")
    });
    let margins = || std::iter::repeat_n(margin.clone(), quiet);
    margins().chain(rows).chain(margins()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_enrollment_fits_an_80_column_terminal_and_is_plain_ascii() {
        let uri =
            "otpauth://totp/server01:demo?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=server01";
        let lines = ascii(uri);
        assert!((30..=48).contains(&lines.len()), "{}", lines.len());
        for line in &lines {
            assert!(line.len() <= COLUMNS && line.bytes().all(|byte| byte == b'#' || byte == b' '));
        }
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        assert!(ascii(&"x".repeat(400)).is_empty());
    }
}
