//! A dotenv file: like `document`, in another format.
#![no_main]

use provision::sops::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    provision_fuzz::open(Format::Dotenv, bytes);
});
