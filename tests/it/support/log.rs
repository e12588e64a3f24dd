//! What one test logs, at every level, while others run beside it.
//!
//! One subscriber for the whole process writes into a buffer of the thread: subscribers of single threads
//! (`tracing::subscriber::with_default`) lose lines when other threads meet the same call site first.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct Buffer;

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `action` on this thread and gives its result with everything that it logged here.
pub(crate) fn captured<T>(action: impl FnOnce() -> T) -> (T, String) {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Buffer)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LINES.set(Some(Vec::new()));
    let result = action();
    let lines = LINES.take().unwrap_or_default();
    (result, String::from_utf8(lines).unwrap())
}
