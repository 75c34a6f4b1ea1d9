//! The terminal: what it can show, prompts, and hidden input that is visible again whatever happens. It knows nothing
//! of factors.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc as replies;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::kernel;
use crate::qr::{Drawing, Paint};

/// Longest line that is read, in bytes; the rest of a longer one is thrown away.
const LINE: u64 = 4096;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours may be used.
    pub colour: bool,
    /// Colours may be used beside the output too, for errors.
    pub colour_beside: bool,
    /// How a QR code is drawn.
    pub drawing: Drawing,
    /// A terminal would show garbage for what is not ASCII.
    pub ascii: bool,
    /// Columns, if known.
    pub width: Option<u16>,
}

impl Look {
    /// What a terminal can show, from the environment as `variable` gives it; which of the standard output and error
    /// are one, `terminal` and `beside` tell.
    pub fn of(
        terminal: bool,
        beside: bool,
        width: Option<u16>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM");
        let wanted = set("NO_COLOR").is_none() && term.as_deref() != Some("dumb");
        let colour = terminal && wanted;
        let many = set("COLORTERM").is_some()
            || term
                .as_deref()
                .is_some_and(|term| term.contains("256color"));
        // COLORFGBG is "text;ground" by the palette's numbers; 7 and 15 are the light ones.
        let light_ground = set("COLORFGBG")
            .and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok())
            .is_some_and(|ground| matches!(ground, 7 | 9..=15));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let unicode = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        let paint = match (colour, many, light_ground) {
            (true, true, _) => Paint::Palette,
            (true, false, _) => Paint::Basic,
            (false, _, true) => Paint::DarkText,
            (false, _, false) => Paint::LightText,
        };
        Self {
            colour,
            colour_beside: beside && wanted,
            drawing: Drawing { paint, unicode },
            ascii: (terminal || beside) && !unicode,
            width,
        }
    }
}

impl Look {
    /// `text` with our own punctuation in ASCII where the terminal knows no other. Quotes become apostrophes, so that
    /// JSON stays JSON.
    fn fit<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.ascii || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let text = text.replace(['“', '”'], "'");
        Cow::Owned(text.replace('→', "->").replace('…', "..."))
    }
}

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Look at it.
    Caution,
    /// Out of order.
    Bad,
}

/// Whether what is typed shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It shows.
    On,
    /// It is hidden.
    Off,
}

enum Input {
    Standard(Reader),
    /// Prepared answers, for tests.
    Script(VecDeque<String>),
}

/// Where a command reads and writes.
pub struct Terminal {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    input: Input,
    attended: bool,
    look: Look,
}

impl Terminal {
    /// The standard streams.
    pub fn standard() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = kernel::window_size(stdout.as_fd()).map(|(columns, _)| columns);
        Self {
            look: Look::of(terminal, io::stderr().is_terminal(), width, |name| {
                std::env::var(name).ok()
            }),
            out: Box::new(stdout),
            err: Box::new(io::stderr()),
            input: Input::Standard(Reader::start()),
            attended: io::stdin().is_terminal(),
        }
    }

    /// Prepared answers and captured output, for tests. `attended` tells whether a person could be asked.
    pub fn scripted(
        look: Look,
        attended: bool,
        answers: &[&str],
        out: Box<dyn Write>,
        err: Box<dyn Write>,
    ) -> Self {
        Self {
            out,
            err,
            input: Input::Script(answers.iter().map(|&answer| answer.to_owned()).collect()),
            attended,
            look,
        }
    }

    /// What it can show.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Whether a person sits at the input.
    pub fn is_attended(&self) -> bool {
        self.attended
    }

    /// Prints to the standard output.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(self.look.fit(text).as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    /// Prints a line to the standard output.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.print(text)?;
        self.print("\n")
    }

    /// Prints a line beside the output: prompts, warnings, errors.
    pub fn remark(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.err, "{}", self.look.fit(text))?;
        Ok(())
    }

    /// `text` in a colour, where the output has colours.
    pub fn tint(&self, tone: Tone, text: &str) -> String {
        tinted(self.look.colour, tone, text)
    }

    /// `text` in a colour, where what is shown beside the output has colours.
    pub fn tint_beside(&self, tone: Tone, text: &str) -> String {
        tinted(self.look.colour_beside, tone, text)
    }

    /// Asks and reads one line, without its end. The end of the input is `None`.
    pub async fn ask(
        &mut self,
        prompt: &str,
        echo: Echo,
    ) -> Result<Option<Zeroizing<String>>, Failure> {
        self.err.write_all(self.look.fit(prompt).as_bytes())?;
        self.err.flush()?;
        match &mut self.input {
            Input::Script(answers) => {
                self.err.write_all(b"\n")?;
                Ok(answers.pop_front().map(Zeroizing::new))
            }
            Input::Standard(reader) => {
                // Dropped with this future: also when Ctrl-C ends the command while it waits here.
                let _hidden = (echo == Echo::Off && self.attended).then(Hidden::begin);
                let line = reader.line().await?;
                if !self.attended && !prompt.is_empty() {
                    // Nobody's Enter ended the line.
                    self.err.write_all(b"\n")?;
                }
                Ok(line)
            }
        }
    }

    /// Asks whether to go on. Only a clear yes counts.
    pub async fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        let answer = self.ask(&format!("{question} [y/N] "), Echo::On).await?;
        Ok(answer.is_some_and(|answer| {
            matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
        }))
    }
}

fn tinted(colour: bool, tone: Tone, text: &str) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Caution => "33",
        Tone::Bad => "31",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Reads lines on a thread of its own, because a blocking read cannot be abandoned at Ctrl-C. It reads only when asked.
struct Reader {
    requests: mpsc::Sender<()>,
    lines: replies::UnboundedReceiver<io::Result<Option<Zeroizing<String>>>>,
}

impl Reader {
    fn start() -> Self {
        let (requests, wanted) = mpsc::channel::<()>();
        let (reply, lines) = replies::unbounded_channel();
        std::thread::spawn(move || {
            while wanted.recv().is_ok() {
                if reply.send(read_line(&mut io::stdin().lock())).is_err() {
                    break;
                }
            }
        });
        Self { requests, lines }
    }

    async fn line(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.requests.send(()).map_err(|_| gone())?;
        self.lines.recv().await.ok_or_else(gone)?
    }
}

fn read_line(input: &mut impl BufRead) -> io::Result<Option<Zeroizing<String>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    input.by_ref().take(LINE).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LINE {
        input.skip_until(b'\n')?;
    }
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(Some(Zeroizing::new(
        String::from_utf8_lossy(&bytes).into_owned(),
    )))
}

/// Hides what is typed while it lives.
struct Hidden {
    before: Option<Termios>,
}

impl Hidden {
    fn begin() -> Self {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd()).ok();
        if let Some(shown) = &before {
            let mut hidden = shown.clone();
            hidden.local_flags.remove(LocalFlags::ECHO);
            // The end of the line still shows, or the next output would follow the prompt.
            hidden.local_flags.insert(LocalFlags::ECHONL);
            let _ = tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &hidden);
        }
        Self { before }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(terminal: bool, variables: &[(&str, &str)]) -> Look {
        Look::of(terminal, terminal, None, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colours_need_a_terminal_and_no_objection() {
        assert!(look(true, &[("TERM", "xterm")]).colour);
        assert!(look(true, &[("NO_COLOR", "")]).colour);
        assert!(!look(false, &[("TERM", "xterm")]).colour);
        assert!(!look(true, &[("NO_COLOR", "1")]).colour);
        assert!(!look(true, &[("TERM", "dumb")]).colour);
    }

    #[test]
    fn a_qr_code_is_drawn_as_the_terminal_allows() {
        let paint = |terminal, variables: &[(&str, &str)]| look(terminal, variables).drawing.paint;
        assert_eq!(paint(true, &[("TERM", "xterm-256color")]), Paint::Palette);
        assert_eq!(paint(true, &[("TERM", "linux")]), Paint::Basic);
        assert_eq!(paint(false, &[]), Paint::LightText);
        assert_eq!(paint(false, &[("COLORFGBG", "0;15")]), Paint::DarkText);
        assert_eq!(paint(false, &[("COLORFGBG", "15;0")]), Paint::LightText);
        assert!(look(true, &[("LANG", "de_CH.UTF-8")]).drawing.unicode);
        assert!(
            !look(true, &[("LC_ALL", "C"), ("LANG", "de_CH.UTF-8")])
                .drawing
                .unicode
        );
    }

    #[test]
    fn punctuation_is_ascii_on_a_terminal_that_knows_no_other() {
        let fitted = |terminal, locale| {
            let look = look(terminal, &[("LC_ALL", locale)]);
            look.fit("“phone” → é").into_owned()
        };
        assert_eq!(fitted(true, "C"), "'phone' -> é");
        assert_eq!(fitted(true, "C.UTF-8"), "“phone” → é");
        assert_eq!(fitted(false, "C"), "“phone” → é");
    }

    #[test]
    fn a_line_is_bounded_and_the_next_one_is_not_lost() {
        let long = "x".repeat(10_000);
        let mut input = io::Cursor::new(format!("{long}\n123456\r\n"));
        assert_eq!(read_line(&mut input).unwrap().unwrap().len(), 4096);
        assert_eq!(read_line(&mut input).unwrap().unwrap().as_str(), "123456");
        assert!(read_line(&mut input).unwrap().is_none());
    }
}
