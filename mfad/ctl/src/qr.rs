//! QR codes for terminals. A scanner wants dark modules on a light ground with a light margin, whatever the
//! terminal's own colours are.

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// Light modules around the code (ISO/IEC 18004 wants four).
const MARGIN: usize = 4;

/// How the terminal can draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Explicit black on white out of 256 colours, which themes leave alone.
    Palette,
    /// Explicit black on white out of the first eight colours.
    Basic,
    /// No colours, light text on a dark ground: blocks are light.
    LightText,
    /// No colours, dark text on a light ground: blocks are dark.
    DarkText,
}

/// A way to draw: colours, and whether half blocks can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawing {
    /// Colours.
    pub paint: Paint,
    /// Whether the terminal shows UTF-8. Otherwise a module is two characters wide and made of blanks and `#`.
    pub unicode: bool,
}

/// `text` as a QR code that fits in `width` columns, or `None` if it does not fit or is too long for one.
/// The lines hold the secret as much as `text` does.
pub fn draw(text: &str, drawing: Drawing, width: Option<u16>) -> Option<Zeroizing<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let grid = Grid::new(&code);
    let columns = if drawing.unicode {
        grid.side
    } else {
        grid.side * 2
    };
    if width.is_some_and(|width| columns > usize::from(width)) {
        return None;
    }
    let (before, after) = match drawing.paint {
        Paint::Palette => ("\x1b[38;5;16;48;5;231m", "\x1b[0m"),
        Paint::Basic => ("\x1b[0;30;47m", "\x1b[0m"),
        Paint::LightText | Paint::DarkText => ("", ""),
    };
    // Where no colour is set, a light module is what the terminal's text colour paints on a dark ground.
    let inked = |dark: bool| dark != (drawing.paint == Paint::LightText);
    let rows_per_line = if drawing.unicode { 2 } else { 1 };
    let mut lines = Zeroizing::new(String::new());
    for row in (0..grid.side).step_by(rows_per_line) {
        lines.push_str(before);
        for column in 0..grid.side {
            let top = inked(grid.is_dark(column, row));
            if drawing.unicode {
                lines.push(half_blocks(top, inked(grid.is_dark(column, row + 1))));
            } else {
                lines.push_str(plain(top, drawing.paint));
            }
        }
        lines.push_str(after);
        lines.push('\n');
    }
    Some(lines)
}

const fn half_blocks(top: bool, bottom: bool) -> char {
    match (top, bottom) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

/// One module in ASCII, two columns wide. With colours, dark is a reversed blank, so that no glyph has gaps.
const fn plain(inked: bool, paint: Paint) -> &'static str {
    match (inked, paint) {
        (true, Paint::Palette | Paint::Basic) => "\x1b[7m  \x1b[27m",
        (true, Paint::LightText | Paint::DarkText) => "##",
        (false, _) => "  ",
    }
}

/// The modules with their margin.
struct Grid {
    modules: Vec<Color>,
    inner: usize,
    side: usize,
}

impl Grid {
    fn new(code: &QrCode) -> Self {
        let inner = code.width();
        Self {
            modules: code.to_colors(),
            inner,
            side: inner + 2 * MARGIN,
        }
    }

    /// Whether a module is dark; the margin and what lies beyond is light.
    fn is_dark(&self, column: usize, row: usize) -> bool {
        let inside = MARGIN..MARGIN + self.inner;
        inside.contains(&column)
            && inside.contains(&row)
            && self.modules[(row - MARGIN) * self.inner + (column - MARGIN)] == Color::Dark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str =
        "otpauth://totp/host:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=host";

    fn drawn(paint: Paint, unicode: bool) -> String {
        draw(URI, Drawing { paint, unicode }, None)
            .unwrap()
            .to_string()
    }

    /// Reads a drawing back into modules, true for dark, as a scanner would see it.
    fn seen(drawing: &str, paint: Paint) -> Vec<Vec<bool>> {
        let ink_is_dark = paint != Paint::LightText;
        let mut rows = Vec::new();
        for line in drawing.lines() {
            let halves: Vec<(bool, bool)> = line
                .chars()
                .map(|c| match c {
                    '█' => (true, true),
                    '▀' => (true, false),
                    '▄' => (false, true),
                    ' ' => (false, false),
                    other => panic!("{other:?}"),
                })
                .collect();
            rows.push(halves.iter().map(|half| half.0 == ink_is_dark).collect());
            rows.push(halves.iter().map(|half| half.1 == ink_is_dark).collect());
        }
        rows
    }

    #[test]
    fn every_way_of_drawing_shows_the_same_dark_modules_on_a_light_margin() {
        let light_text = seen(&drawn(Paint::LightText, true), Paint::LightText);
        let dark_text = seen(&drawn(Paint::DarkText, true), Paint::DarkText);
        let code = QrCode::with_error_correction_level(URI, EcLevel::L).unwrap();
        let side = code.width() + 2 * MARGIN;
        for y in 0..side {
            for x in 0..side {
                let inside =
                    (MARGIN..side - MARGIN).contains(&x) && (MARGIN..side - MARGIN).contains(&y);
                let dark = inside && code[(x - MARGIN, y - MARGIN)] == Color::Dark;
                assert_eq!(light_text[y][x], dark, "({x}, {y})");
                assert_eq!(dark_text[y][x], dark, "({x}, {y})");
            }
        }
    }

    #[test]
    fn colours_are_set_and_reset_on_every_line() {
        for (paint, start) in [
            (Paint::Palette, "\x1b[38;5;16;48;5;231m"),
            (Paint::Basic, "\x1b[0;30;47m"),
        ] {
            let coloured = drawn(paint, true);
            assert!(
                coloured
                    .lines()
                    .all(|line| line.starts_with(start) && line.ends_with("\x1b[0m"))
            );
            let stripped = coloured.replace(start, "").replace("\x1b[0m", "");
            assert_eq!(stripped, drawn(Paint::DarkText, true));
        }
    }

    #[test]
    fn without_utf_8_only_ascii_is_drawn() {
        for paint in [
            Paint::Palette,
            Paint::Basic,
            Paint::LightText,
            Paint::DarkText,
        ] {
            assert!(drawn(paint, false).is_ascii());
        }
        assert!(!drawn(Paint::LightText, false).contains('\x1b'));
    }

    #[test]
    fn a_code_wider_than_the_terminal_is_not_drawn() {
        let drawing = Drawing {
            paint: Paint::Basic,
            unicode: true,
        };
        let columns = u16::try_from(
            drawn(Paint::LightText, true)
                .lines()
                .next()
                .unwrap()
                .chars()
                .count(),
        )
        .unwrap();
        assert!(draw(URI, drawing, Some(columns)).is_some());
        assert!(draw(URI, drawing, Some(columns - 1)).is_none());
        assert!(draw(&"x".repeat(4000), drawing, None).is_none());
    }
}
