//! Any text is a journal or an error with its line.
#![no_main]
use provision::journal::Replay;

libfuzzer_sys::fuzz_target!(|text: &str| match Replay::read("qa.journal", text) {
    Ok(replay) => assert!(replay.open.len() <= text.lines().count()),
    Err(error) => assert!(error.line <= text.lines().count()),
});
