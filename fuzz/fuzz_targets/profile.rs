//! Any text is a profile or a list of problems with their places.
#![no_main]
use provision::profile::Environment;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = Environment::read("qa", "environments/qa.yaml", text) {
        assert!(!error.to_string().is_empty());
    }
});
