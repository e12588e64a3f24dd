//! A program on a terminal of its own, as a person sits before it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use super::program;

/// After so long a program that says nothing more is taken to be stuck; it decides no test that passes.
const STUCK: Duration = Duration::from_secs(300);

pub(crate) struct Terminal {
    screen: File,
    child: Child,
    said: Receiver<Vec<u8>>,
    /// Everything that was said.
    all: String,
    /// How much of it has been waited for.
    seen: usize,
    /// The terminal's modes from before the program.
    before: Termios,
}

/// A shell of a few lines: it leads a session on the terminal, so that Ctrl-C there is a signal for the program, and stays
/// when the program has ended. A terminal whose leader ends is hung up, and what nobody has read yet is lost with it.
const ON_ITS_TERMINAL: &str = "use POSIX (); POSIX::setsid(); \
    ioctl(STDIN, $^O eq 'linux' ? 0x540E : 0x20007461, 0) or die $!; \
    if (my $program = fork) { \
        $SIG{$_} = 'IGNORE' for qw(INT QUIT); waitpid $program, 0; \
        $| = 1; print '[ended ', ($? & 127 ? -1 : $? >> 8), ']'; \
        sleep 60 while 1; \
    }";
const ENDED: &str = "[ended ";

impl Terminal {
    /// Starts `command` on a terminal of 80 columns.
    #[allow(clippy::needless_pass_by_value, reason = "most callers make it for this")]
    pub(crate) fn start(command: Command) -> Self {
        Self::with_columns(&command, 80)
    }

    pub(crate) fn with_columns(command: &Command, columns: u16) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        tcsetwinsize(&screen, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut command = program::in_foreground(command, ON_ITS_TERMINAL);
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm");
        }
        let before = tcgetattr(open()).unwrap();
        let child = command.stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
        // Else the terminal would stay open here when the program has ended.
        drop(command);
        let screen = File::from(screen);
        let mut reader = screen.try_clone().unwrap();
        let (says, said) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux reports the end of the program's side as an error.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if says.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { screen, child, said, all: String::new(), seen: 0, before }
    }

    /// Waits until the program has said `text`, after what was waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        self.expect_any(&[text]);
    }

    /// Waits until the program has said one of these; the index of the one that came first.
    #[track_caller]
    pub(crate) fn expect_any(&mut self, texts: &[&str]) -> usize {
        loop {
            let rest = &self.all[self.seen..];
            let found = texts.iter().enumerate().filter_map(|(index, text)| Some((rest.find(text)?, index)));
            if let Some((at, index)) = found.min() {
                self.seen += at + texts[index].len();
                return index;
            }
            match self.said.recv_timeout(STUCK) {
                Ok(bytes) => self.all += &String::from_utf8_lossy(&bytes),
                Err(_) => {
                    panic!("{texts:?} was not said after {:?}; all: {}", &self.all[self.seen..], self.all)
                }
            }
        }
    }

    /// Waits for `text` behind `from`, whether it was waited for before or not; the line that it stands in.
    #[track_caller]
    pub(crate) fn line_with(&mut self, from: usize, text: &str) -> String {
        let seen = std::mem::replace(&mut self.seen, from);
        self.expect(text);
        let start = self.seen - text.len();
        self.expect("\n");
        let line = self.all[start..self.seen].trim_end().to_owned();
        self.seen = self.seen.max(seen);
        line
    }

    /// How much of what was said has been waited for.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// Waits for a question, and answers it.
    #[track_caller]
    pub(crate) fn answer(&mut self, question: &str, answer: &str) {
        self.expect(question);
        self.type_line(answer);
    }

    pub(crate) fn type_line(&mut self, text: &str) {
        self.screen.write_all(format!("{text}\r").as_bytes()).unwrap();
    }

    /// Everything that was said so far.
    pub(crate) fn all(&self) -> &str {
        &self.all
    }

    /// Waits until what is typed is no longer shown: the program has come from the question to the answer.
    #[track_caller]
    pub(crate) fn wait_until_hidden(&mut self) {
        while self.echoes() {
            while let Ok(bytes) = self.said.try_recv() {
                self.all += &String::from_utf8_lossy(&bytes);
            }
            assert!(!self.all.contains(ENDED), "it has ended: {}", self.all);
            thread::yield_now();
        }
    }

    /// Answers a question whose answer is not shown. What was typed before that would be thrown away.
    #[track_caller]
    pub(crate) fn paste(&mut self, text: &str) {
        self.wait_until_hidden();
        self.type_line(text);
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.screen.write_all(b"\x03").unwrap();
    }

    /// Presses Ctrl-D at the beginning of a line.
    pub(crate) fn end_input(&mut self) {
        self.screen.write_all(b"\x04").unwrap();
    }

    /// Whether the terminal shows what is typed.
    fn echoes(&self) -> bool {
        tcgetattr(&self.screen).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Hangs up, whatever still runs there.
    pub(crate) fn hang_up(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end: the exit status, and all that was said.
    pub(crate) fn end(self) -> (i32, String) {
        let (status, all, _) = self.end_and_modes();
        (status, all)
    }

    /// The same, and whether the terminal is as it was before.
    pub(crate) fn end_and_modes(mut self) -> (i32, String, bool) {
        let status = loop {
            if let Some((said, end)) = self.all.split_once(ENDED)
                && let Some((status, _)) = end.split_once(']')
            {
                let status = status.parse().unwrap();
                self.all = said.to_owned();
                break status;
            }
            let bytes = self.said.recv_timeout(STUCK);
            self.all +=
                &String::from_utf8_lossy(&bytes.unwrap_or_else(|_| panic!("it is stuck: {}", self.all)));
        };
        let after = tcgetattr(&self.screen).unwrap();
        let modes = |of: &Termios| (of.input_modes, of.output_modes, of.control_modes, of.local_modes);
        let is_as_before = modes(&after) == modes(&self.before);
        // The leader of the session waits for nothing else.
        self.hang_up();
        (status, self.all, is_as_before)
    }
}
