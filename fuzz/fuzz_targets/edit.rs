//! One line is a path, the rest a value that is set there in a file of stock sops.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Some((path, value)) = text.split_once('\n') else { return };
    let Ok(path) = path.parse() else { return };
    provision_fuzz::set(include_bytes!("../seeds/document/types.yaml"), &path, value);
});
