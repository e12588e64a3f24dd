//! A program on a terminal of its own, as a person sits before it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

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
}

impl Terminal {
    /// Starts `command` on a terminal of 80 columns.
    pub(crate) fn start(command: Command) -> Self {
        Self::with_columns(command, 80)
    }

    pub(crate) fn with_columns(mut command: Command, columns: u16) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        tcsetwinsize(&screen, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let child = command.env("TERM", "xterm").stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
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
        Self { screen, child, said, all: String::new(), seen: 0 }
    }

    /// Waits until the program has said `text`, after what was waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        loop {
            if let Some(at) = self.all[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            match self.said.recv_timeout(STUCK) {
                Ok(bytes) => self.all += &String::from_utf8_lossy(&bytes),
                Err(_) => {
                    panic!("{text:?} was not said after {:?}; all: {}", &self.all[self.seen..], self.all)
                }
            }
        }
    }

    /// Presses a key at a question that takes one.
    pub(crate) fn press(&mut self, key: &str) {
        self.screen.write_all(key.as_bytes()).unwrap();
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
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {}", self.all);
            thread::yield_now();
        }
    }

    /// Answers a question whose answer is not shown. What was typed before that would be thrown away.
    #[track_caller]
    pub(crate) fn paste(&mut self, text: &str) {
        self.wait_until_hidden();
        self.type_line(text);
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Whether the terminal shows what is typed.
    fn echoes(&self) -> bool {
        tcgetattr(&self.screen).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the end: the exit status, and all that was said.
    pub(crate) fn end(self) -> (i32, String) {
        let (status, all, _) = self.end_and_echo();
        (status, all)
    }

    /// The same, and whether the terminal shows again what is typed.
    pub(crate) fn end_and_echo(mut self) -> (i32, String, bool) {
        while let Ok(bytes) = self.said.recv_timeout(STUCK) {
            self.all += &String::from_utf8_lossy(&bytes);
        }
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        let echoes = self.echoes();
        (status, self.all, echoes)
    }
}
