//! Any text is the `sops` block of a file.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    provision_fuzz::open(provision::sops::Format::Yaml, format!("value: \"\"\nsops:\n{text}").as_bytes());
});
