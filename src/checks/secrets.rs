//! Checks of the secrets files themselves, one by one.

use crate::error::word;
use crate::hint::Hint;
use crate::sops::{Difference, DocumentError, Encrypted, Form, MetadataError, PolicyError, Rule};

use super::clear_tokens;
use super::finding::{Spot, line_of};
use super::repository::{File, Own};
use super::rules::rule_for;

fn has_no_metadata(error: &DocumentError) -> bool {
    matches!(error, DocumentError::Metadata(MetadataError::Missing))
}

/// Whether nothing in the bytes has ever been encrypted: a file without a block that cannot even be parsed, too.
fn is_plain(file: &File, error: &DocumentError) -> bool {
    has_no_metadata(error) || !file.text.contains("ENC[AES256_GCM,")
}

pub(super) fn not_encrypted(own: &Own, file: &File) -> Vec<Spot> {
    match &file.parsed {
        Err(error) if is_plain(file, error) => {
            let why =
                match rule_for(&own.rules, &file.path).filter(|_| !file.personal && file.nested.is_none()) {
                    Some(rule) => format!("the rule in line {} of the policy wants it encrypted", rule.line),
                    None => "a profile makes it a secrets file".to_owned(),
                };
            let mend = format!(
                "sops encrypt -i {}; what was ever committed in the clear has to be replaced",
                file.path
            );
            vec![Spot::new(&file.path, 1, format!("not encrypted, and {why}"), mend)]
        }
        Ok(encrypted) if nothing_encrypted(encrypted) => {
            let line = line_of(encrypted.text(), encrypted.block());
            let what = format!("not one value is encrypted: `{}` selects none", encrypted.selection());
            let mend = "mend the rule in .sops.yaml, then encrypt the file again";
            vec![Spot::new(&file.path, line, what, mend)]
        }
        _ => Vec::new(),
    }
}

fn nothing_encrypted(file: &Encrypted) -> bool {
    let mut some = false;
    for leaf in file.leaves() {
        match leaf.form {
            Form::Encrypted(_) => return false,
            Form::Clear => some = true,
            Form::Empty => {}
        }
    }
    some
}

pub(super) fn not_readable(_own: &Own, file: &File) -> Vec<Spot> {
    match &file.parsed {
        Err(error) if !is_plain(file, error) => {
            let edit = Hint::from("sops edit ").path(&file.path);
            let mend = edit.then(", or a version that can be read: git log -- ").path(&file.path);
            vec![Spot::of_error(&file.path, &error.to_string(), mend)]
        }
        _ => Vec::new(),
    }
}

pub(super) fn tracked(_own: &Own, file: &File) -> Vec<Spot> {
    if !file.should_be_untracked {
        return Vec::new();
    }
    let remove = Hint::from("git rm --cached ").path(&file.path).then(" and ");
    let mend = remove.then(format!("echo {} >> ", word(format!("/{}", file.path)))).path(".gitignore");
    vec![Spot::new(&file.path, 1, "git tracks it, and its profile says `commit: false`", mend)]
}

pub(super) fn clear_values(_own: &Own, file: &File) -> Vec<Spot> {
    leaves(
        file,
        |selected, form| selected && form == Form::Clear,
        |file, path| {
            let what = format!("{path} is in the clear, and the file's rule wants it encrypted");
            (what, Hint::from("sops edit ").path(file).then("; replace the value if it was committed"))
        },
    )
}

pub(super) fn stray_ciphertext(_own: &Own, file: &File) -> Vec<Spot> {
    leaves(
        file,
        |selected, form| !selected && matches!(form, Form::Encrypted(_)),
        |file, path| {
            let what =
                format!("{path} is encrypted, and the file's rule leaves it clear, so sops shows ENC[…]");
            (what, format!("restore the rule of {file}, or set the value again").into())
        },
    )
}

fn leaves(
    file: &File,
    wrong: impl Fn(bool, Form<'_>) -> bool,
    says: impl Fn(&str, &str) -> (String, Hint),
) -> Vec<Spot> {
    let Ok(encrypted) = &file.parsed else { return Vec::new() };
    let spots = encrypted.leaves().filter(|leaf| wrong(leaf.selected, leaf.form)).map(|leaf| {
        let (what, mend) = says(&file.path, &leaf.path.to_string());
        Spot::new(&file.path, line_of(encrypted.text(), leaf.offset), what, mend)
    });
    spots.collect()
}

pub(super) fn no_mac(_own: &Own, file: &File) -> Vec<Spot> {
    let Ok(encrypted) = &file.parsed else { return Vec::new() };
    if encrypted.has_mac() {
        return Vec::new();
    }
    let line = line_of(encrypted.text(), encrypted.block());
    let what = "no MAC, so nothing shows that the file is complete and unchanged";
    vec![Spot::new(&file.path, line, what, Hint::from("restore it: git log -- ").path(&file.path))]
}

/// What the policy says about a file; `None` where there is nothing to compare it with.
fn wanted<'o>(own: &'o Own, file: &File) -> Option<Result<&'o Rule, PolicyError>> {
    if file.personal || file.nested.is_some() {
        return None;
    }
    // A policy that cannot be read is a finding of its own.
    let policy = own.policy.as_ref()?.read.as_ref().ok()?;
    Some(policy.rule_for(&file.path))
}

/// Where the file is not as its rule says.
fn differences<'f>(own: &Own, file: &'f File) -> Option<(&'f Encrypted, Vec<Difference>)> {
    let encrypted = file.parsed.as_ref().ok()?;
    let rule = wanted(own, file)?.ok()?;
    Some((encrypted, encrypted.differences(rule)))
}

fn is_about_readers(difference: &Difference) -> bool {
    is_missing(difference) || matches!(difference, Difference::Extra(_) | Difference::ExtraReader(_))
}

fn is_missing(difference: &Difference) -> bool {
    matches!(difference, Difference::Missing(_) | Difference::MissingReader(_))
}

pub(super) fn missing_readers(own: &Own, file: &File) -> Vec<Spot> {
    let Some((encrypted, differences)) = differences(own, file) else { return Vec::new() };
    let spots = differences.iter().filter(|difference| is_missing(difference)).map(|difference| {
        let mend = Hint::from("provision rekey ").path(&file.path);
        Spot::new(&file.path, line_in_block(encrypted, None), difference.to_string(), mend)
    });
    spots.collect()
}

pub(super) fn recipients(own: &Own, file: &File) -> Vec<Spot> {
    let Ok(encrypted) = &file.parsed else { return Vec::new() };
    let mut spots = Vec::new();
    for difference in differences(own, file).map(|(_, differences)| differences).unwrap_or_default() {
        let known_as = match &difference {
            Difference::Extra(recipient) => recipient.to_string(),
            Difference::ExtraReader(reader) => reader.id.clone(),
            _ => continue,
        };
        let mend = Hint::from("provision rekey ").path(&file.path).then("; or add it to .sops.yaml");
        let line = line_in_block(encrypted, Some(&known_as));
        spots.push(Spot::new(&file.path, line, difference.to_string(), mend));
    }
    for recipient in encrypted.damaged_entries() {
        let line = line_in_block(encrypted, Some(&recipient.to_string()));
        let what = format!("the entry of {recipient} is no age file, so it opens nothing");
        let mend = Hint::from("restore it: git log -- ").path(&file.path);
        spots.push(Spot::new(&file.path, line, what, mend));
    }
    spots
}

/// The line of a name in the `sops` block; of the block itself where it is not there.
fn line_in_block(encrypted: &Encrypted, name: Option<&str>) -> usize {
    let block = encrypted.block();
    let within = encrypted.text().get(block..).unwrap_or_default();
    let at = name.and_then(|name| within.find(name)).unwrap_or(0);
    line_of(encrypted.text(), block + at)
}

pub(super) fn rule(own: &Own, file: &File) -> Vec<Spot> {
    let Ok(encrypted) = &file.parsed else { return Vec::new() };
    let mut spots = Vec::new();
    for difference in differences(own, file).map(|(_, differences)| differences).unwrap_or_default() {
        if !is_about_readers(&difference) {
            let mend = Hint::from("provision rekey ").path(&file.path).then("; or restore the rule");
            spots.push(Spot::new(&file.path, line_in_block(encrypted, None), difference.to_string(), mend));
        }
    }
    let line = line_of(encrypted.text(), encrypted.block());
    match wanted(own, file) {
        Some(Err(PolicyError::NoRule { .. })) => {
            let add = format!("add a creation rule whose path_regex matches {}", file.path);
            spots.push(Spot::new(&file.path, line, "no creation rule says who may read it", add));
        }
        None if !file.personal && file.nested.is_none() && own.policy.is_none() => {
            let add = format!("add a creation rule whose path_regex matches {}", file.path);
            spots.push(Spot::new(&file.path, line, "no .sops.yaml says who may read it", add));
        }
        _ => {}
    }
    spots
}

pub(super) fn clear_tokens(_own: &Own, file: &File) -> Vec<Spot> {
    clear_tokens::spots(&file.path, &file.text)
}
