//! What a format has no way to write: refused when a change is recorded, before anything is made of it.

use super::change::ChangeError;
use super::format::Format;
use super::path::{Path, Segment};
use super::render::Place;
use super::{dotenv, ini};

/// Whether a leaf that is not there could be.
pub(super) fn check_new(format: Format, path: &Path) -> Result<(), ChangeError> {
    let keys: Vec<&str> = path.keys().collect();
    let has_index = path.0.iter().any(|segment| matches!(segment, Segment::Index(_)));
    let reason = match (format, keys.as_slice()) {
        (Format::Yaml | Format::Json, _) => return Ok(()),
        (Format::Dotenv, [key]) if !has_index && dotenv::is_key(key) => return Ok(()),
        (Format::Ini, [section, key]) if !has_index && ini::is_section(section) && ini::is_key(key) => {
            return Ok(());
        }
        (Format::Dotenv, [_]) if !has_index => "a dotenv line cannot have this key",
        (Format::Dotenv, _) => "a dotenv file has keys only, none below another",
        (Format::Ini, [_, _]) if !has_index => "an INI file cannot have this section or key",
        (Format::Ini, _) => "an INI file has keys in sections: [\"section\"][\"key\"]",
        (Format::Binary, _) => "a binary file has one value, [\"data\"]",
    };
    Err(ChangeError::NotInFormat { path: path.clone(), reason })
}

/// Whether a value in the clear would read back as itself.
pub(super) fn check_clear(
    format: Format,
    path: &Path,
    value: &[u8],
    place: Place<'_>,
) -> Result<(), ChangeError> {
    let reason = match str::from_utf8(value) {
        Ok(text) if format.holds(text, place) => return Ok(()),
        Ok(text) if format.holds(text, Place::BLOCK) => {
            "the format cannot hold this value in the clear before the comment that stands behind it: put the comment on a line of its own"
        }
        Ok(_) => "the format cannot hold this value in the clear",
        Err(_) => "a value in the clear must be text",
    };
    Err(ChangeError::NotInFormat { path: path.clone(), reason })
}
