//! A text that is accepted as a draft seals into a file that opens, or is refused with a reason.
#![no_main]
use provision::sops::Draft;
use provision_fuzz::{NOW, RULE, assert_sound, open};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(draft) = Draft::parse(provision::sops::Format::Yaml, text) else { return };
    match draft.seal(&RULE, &provision::sops::Alone, NOW, &[]) {
        Ok(sealed) => assert!(open(provision::sops::Format::Yaml, sealed.bytes()).is_some()),
        Err(error) => assert_sound(&error),
    }
});
