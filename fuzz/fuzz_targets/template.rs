//! Any text is a template or a list of problems; one that fits the profile was rendered with stand-ins.
#![no_main]
use provision::template::Template;
use provision_fuzz::ENVIRONMENT;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(template) = Template::parse("backstage.yaml", text) {
        let _ = template.check(&ENVIRONMENT);
    }
});
