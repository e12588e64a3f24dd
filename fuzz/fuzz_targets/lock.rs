//! A lock is the same after it was written and read.
#![no_main]
use provision::lock::Lock;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(lock) = Lock::read("environments/locks/qa.yaml", text) else { return };
    assert_eq!(Lock::read("environments/locks/qa.yaml", &lock.write()).ok(), Some(lock));
});
