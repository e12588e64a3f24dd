//! Any text is a policy or an error, and a policy answers for any path.
#![no_main]
use provision::sops::Policy;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse(text) else { return };
    for path in ["secrets/qa.sops.yaml", "", "é\n"] {
        let _ = policy.rule_for(path);
    }
});
