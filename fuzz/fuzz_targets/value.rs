//! Any text is the one value of a file: the grammar of ENC[…].
#![no_main]
use provision_fuzz::open;

const FILE: &str = include_str!("../seeds/document/one.yaml");

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (_, rest) = FILE.split_once('\n').expect("a line");
    let quoted = format!("{text:?}").replace("\\u{", "\\\\u{");
    open(provision::sops::Format::Yaml, format!("value: {quoted}\n{rest}").as_bytes());
});
