//! What several fuzz targets need: the key of the seeds, and what holds for every document that opens.

use std::sync::LazyLock;

use jiff::Timestamp;
use provision::profile::Environment;
use provision::secret::Secret;
use provision::sops::{Encrypted, Format, Identities, Opened, Path, Rule, SealError};

/// The key of the seeds. It opens nothing else.
pub static IDENTITIES: LazyLock<Identities> = LazyLock::new(|| {
    let text = Secret::new(include_str!("../keys.txt").to_owned());
    Identities::parse([("keys.txt", text)]).expect("the key of the seeds")
});

/// A rule for the key of the seeds alone.
pub static RULE: LazyLock<Rule> = LazyLock::new(|| Rule::own(IDENTITIES.recipients().cloned()));

/// A profile for templates to be checked against.
pub static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    let text = include_str!("../seeds/profile/group.yaml");
    Environment::read("qa", "environments/qa.yaml", text).expect("the seed of the profile")
});

/// The time of every seal.
pub const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Opens a file where that is possible. What opens is what it was, byte for byte, when it is sealed without a change.
pub fn open(format: Format, bytes: &[u8]) -> Option<Opened> {
    let opened = Encrypted::parse(format, bytes).ok()?.open(&IDENTITIES).ok()?;
    match opened.seal(NOW, &[]) {
        Ok(sealed) => assert_eq!(sealed.bytes(), bytes),
        Err(error) => assert_sound(&error),
    }
    Some(opened)
}

/// A file may be refused; what was made from it may not be found to be wrong.
pub fn assert_sound(error: &SealError) {
    assert!(!matches!(error, SealError::Unsound { .. }), "{error}");
}

/// Sets a leaf of a YAML file that opens, and reads it back.
pub fn set(bytes: &[u8], path: &Path, value: &str) {
    let Some(mut opened) = open(Format::Yaml, bytes) else { return };
    if opened.set(path, &Secret::new(value.to_owned())).is_err() {
        return;
    }
    match opened.seal(NOW, &[]) {
        Ok(sealed) => {
            let again = open(Format::Yaml, sealed.bytes()).expect("what was sealed opens");
            let read = again.get(path).expect("a text").expect("a leaf");
            assert_eq!(read.expose(), value);
        }
        Err(error) => assert_sound(&error),
    }
}
