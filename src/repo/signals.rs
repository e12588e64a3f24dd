//! What a signal leaves behind: nothing.
//!
//! A `.lock` file of git's or a half-written temporary file that survives the process would block or litter
//! the user's repository. A thread therefore takes SIGINT, SIGTERM, SIGHUP and SIGQUIT, removes what is
//! registered here, and ends the process the way the signal would have. Short steps that must not be cut (a
//! reference and its index) hold the signal back with a `Shield`.
//!
//! A run that can stop between its effects says so with [`stop_between_effects`]. The first signal then only asks it to,
//! and the next one ends the process as described.
//!
//! A signal that the process was started with ignored (`nohup`, a background job of a script) stays ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// What the process does when a signal has come and nothing is left behind: it may say something, or exit
/// with a status of its own. When it returns, the process ends as the signal ends it.
pub type Farewell = Box<dyn Fn(i32) + Send>;

#[derive(Default)]
struct Registered {
    files: BTreeMap<u64, PathBuf>,
    directories: Vec<PathBuf>,
    next: u64,
    /// A `git` that runs for us: it is told, and ends by itself.
    child: Option<u32>,
}

static REGISTERED: Mutex<Registered> =
    Mutex::new(Registered { files: BTreeMap::new(), directories: Vec::new(), next: 0, child: None });
static SHIELD: Mutex<()> = Mutex::new(());
static FAREWELL: Mutex<Option<Farewell>> = Mutex::new(None);
/// What is said when a signal asks to stop; `None`: a signal does not ask.
static ASKING: Mutex<Option<Farewell>> = Mutex::new(None);
static ASKED: AtomicBool = AtomicBool::new(false);
static WATCHING: OnceLock<()> = OnceLock::new();
/// The signal that is about to end the process; 0 while there is none.
static ENDING: AtomicI32 = AtomicI32::new(0);

/// Sets what the process does last after a signal; the last call wins.
pub fn on_signal(farewell: Farewell) {
    watch();
    *lock(&FAREWELL) = Some(farewell);
}

/// Sets it where nothing has set it before.
pub fn on_signal_otherwise(farewell: Farewell) {
    watch();
    lock(&FAREWELL).get_or_insert(farewell);
}

/// From now on a signal ends the process at once again, also after [`stop_between_effects`].
pub fn end_at_once() {
    *lock(&ASKING) = None;
}

/// From now on the first signal asks to stop: `said` is called, and [`asked_to_stop`] is true after it. SIGQUIT does not
/// ask. What [`on_signal`] has set is for the second one.
pub fn stop_between_effects(said: Farewell) {
    watch();
    *lock(&ASKING) = Some(said);
}

/// Whether a signal has asked to stop.
#[must_use]
pub fn asked_to_stop() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Starts to watch for signals; later calls do nothing. Everything here that creates a temporary or lock file
/// calls it.
pub fn watch() {
    WATCHING.get_or_init(|| {
        #[cfg(unix)]
        spawn();
    });
}

/// While it lives, a signal waits.
pub(super) struct Shield {
    held: Option<MutexGuard<'static, ()>>,
}

/// A signal that has waited comes before whatever the thread would do next.
impl Drop for Shield {
    fn drop(&mut self) {
        drop(self.held.take());
        while ENDING.load(Ordering::SeqCst) != 0 {
            std::thread::park();
        }
    }
}

/// Holds signals back until the shield is dropped. One thread must not take two.
pub(super) fn shield() -> Shield {
    watch();
    Shield { held: Some(lock(&SHIELD)) }
}

/// A file that is removed when a signal ends the process while this lives.
pub(super) struct Litter(u64);

/// Registers `path` for removal. Call it, and drop the result, under the same [`Shield`] that the file is
/// created and given up under; else the file of another process may be removed.
pub(super) fn litter(path: &Path) -> Litter {
    let mut registered = lock(&REGISTERED);
    let id = registered.next;
    registered.next += 1;
    registered.files.insert(id, path.to_owned());
    Litter(id)
}

impl Drop for Litter {
    fn drop(&mut self) {
        lock(&REGISTERED).files.remove(&self.0);
    }
}

/// Directories of ours that go, with all that is in them, when a signal ends the process.
pub(super) fn litter_directories(paths: impl IntoIterator<Item = PathBuf>) {
    lock(&REGISTERED).directories.extend(paths);
}

/// They are gone, or are no longer ours to remove.
pub(super) fn forget_directories(paths: &[PathBuf]) {
    lock(&REGISTERED).directories.retain(|path| !paths.contains(path));
}

/// A child process that is sent each signal that comes while this lives.
pub(super) struct Forwarding(());

/// Sends signals on to the process `id`.
pub(super) fn forward_to(id: u32) -> Forwarding {
    lock(&REGISTERED).child = Some(id);
    // One that came while the child was being started.
    let signal = ENDING.load(Ordering::SeqCst);
    #[cfg(unix)]
    if signal != 0 {
        forward(signal, id);
    }
    Forwarding(())
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        lock(&REGISTERED).child = None;
    }
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn spawn() {
    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().filter(|signal| !was_ignored(*signal));
    let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) else { return };
    // Without the thread the handlers would swallow the signals.
    let handle = signals.handle();
    let started = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let said = if signal == SIGQUIT { None } else { lock(&ASKING).take() };
            match said {
                Some(said) => {
                    ASKED.store(true, Ordering::SeqCst);
                    said(signal);
                }
                None => end(signal),
            }
        }
    });
    if started.is_err() {
        handle.close();
    }
}

#[cfg(unix)]
fn end(signal: i32) {
    ENDING.store(signal, Ordering::SeqCst);
    if let Some(child) = lock(&REGISTERED).child {
        forward(signal, child);
    }
    let _shield = lock(&SHIELD);
    remove_litter();
    if let Some(farewell) = lock(&FAREWELL).as_ref() {
        farewell(signal);
    }
    // Does not return for these signals.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}

#[expect(
    clippy::disallowed_methods,
    reason = "removes the temporary files, lock files and worktrees of this module's callers"
)]
fn remove_litter() {
    let registered = lock(&REGISTERED);
    for path in registered.files.values() {
        let _ = std::fs::remove_file(path);
    }
    for path in &registered.directories {
        let _ = std::fs::remove_dir_all(path);
    }
}

#[cfg(unix)]
fn forward(signal: i32, child: u32) {
    let process = i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw);
    let signal = match signal {
        SIGINT => rustix::process::Signal::INT,
        SIGHUP => rustix::process::Signal::HUP,
        SIGQUIT => rustix::process::Signal::QUIT,
        _ => rustix::process::Signal::TERM,
    };
    if let Some(process) = process {
        let _ = rustix::process::kill_process(process, signal);
    }
}

/// Linux tells in /proc; elsewhere no signal counts as ignored.
#[cfg(unix)]
fn was_ignored(signal: i32) -> bool {
    let Ok(status) = super::read::text(Path::new("/proc/self/status")) else { return false };
    ignored_in(&status, signal)
}

#[cfg(unix)]
fn ignored_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ignored_at_start_is_read_from_the_mask() {
        // SIGHUP is 1, SIGINT 2, SIGTERM 15: bit signal - 1.
        let status = "Name:\tx\nSigBlk:\t0000000000004003\nSigIgn:\t0000000000000001\n";
        assert!(ignored_in(status, SIGHUP));
        assert!(!ignored_in(status, SIGINT));
        assert!(!ignored_in(status, SIGTERM));
        assert!(!ignored_in("", SIGHUP));
    }
}
