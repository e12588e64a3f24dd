//! A path is the same after it was written and read.
#![no_main]
use provision::sops::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(path) = text.parse::<Path>() else { return };
    assert_eq!(path.to_string().parse(), Ok(path));
});
