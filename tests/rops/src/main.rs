//! Reads SOPS files with rops: `rops-reader FILE…` prints a line of JSON for each, `{"read": …}` with the decrypted values
//! or `{"refused": "why"}`. The key is in ROPS_AGE, the only place where rops looks besides files in the home.

use std::error::Error;
use std::path::Path;
use std::str::FromStr;

use rops::cryptography::cipher::AES256GCM;
use rops::cryptography::hasher::SHA512;
use rops::file::format::{FileFormat, JsonFileFormat, YamlFileFormat};
use rops::file::state::EncryptedFile;
use rops::file::{RopsFile, RopsFileFromStrError};
use serde_json::{Value, json};

fn main() {
    for file in std::env::args_os().skip(1) {
        let line = match read(Path::new(&file)) {
            Ok(values) => json!({ "read": values }),
            Err(error) => json!({ "refused": sentence(error.as_ref()) }),
        };
        println!("{line}");
    }
}

fn read(file: &Path) -> Result<Value, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("yaml") => decrypted::<YamlFileFormat>(&text),
        Some("json") => decrypted::<JsonFileFormat>(&text),
        _ => Err("rops has no such format".into()),
    }
}

fn decrypted<F: FileFormat>(text: &str) -> Result<Value, Box<dyn Error>> {
    let encrypted = RopsFile::<EncryptedFile<AES256GCM, SHA512>, F>::from_str(text)
        .map_err(|RopsFileFromStrError::Deserialize(error)| error)?;
    let decrypted = encrypted.decrypt::<JsonFileFormat>()?;
    Ok(serde_json::from_str(&decrypted.map().to_string())?)
}

/// An error with all that caused it.
fn sentence(error: &dyn Error) -> String {
    let said = error.to_string();
    error.source().map_or_else(|| said.clone(), |cause| format!("{said}: {}", sentence(cause)))
}
