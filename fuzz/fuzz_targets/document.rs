//! Any bytes are a SOPS file or an error; a file that opens is not changed by a seal without changes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    provision_fuzz::open(provision::sops::Format::Yaml, bytes);
});
