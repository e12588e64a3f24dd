//! Any text is a pattern or an error, and a pattern matches any text or does not.
#![no_main]
use provision::sops::Pattern;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(pattern) = Pattern::new(text) {
        let _ = pattern.is_match("stringData_é.yaml\n");
        assert_eq!(pattern.as_str(), text);
    }
});
