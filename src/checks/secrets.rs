//! Checks of the secrets files themselves.

use crate::sops::{Difference, DocumentError, Encrypted, Form, MetadataError, PolicyError, Rule};

use super::finding::{Spot, line_of};
use super::repository::{File, Observed};
use super::rules::rule_for;

fn readable(observed: &Observed) -> impl Iterator<Item = (&File, &Encrypted)> {
    observed.files.iter().filter_map(|file| Some((file, file.parsed.as_ref().ok()?)))
}

fn has_no_metadata(error: &DocumentError) -> bool {
    matches!(error, DocumentError::Metadata(MetadataError::Missing))
}

/// Whether nothing in the bytes has ever been encrypted: a file without a block that cannot even be parsed, too.
fn is_plain(file: &File, error: &DocumentError) -> bool {
    has_no_metadata(error) || !file.text.contains("ENC[AES256_GCM,")
}

pub(super) fn not_encrypted(observed: &Observed) -> Vec<Spot> {
    let mut spots = Vec::new();
    for file in &observed.files {
        match &file.parsed {
            Err(error) if is_plain(file, error) => {
                let why = match rule_for(&observed.rules, &file.path).filter(|_| !file.personal) {
                    Some(rule) => format!("the rule in line {} of the policy wants it encrypted", rule.line),
                    None => "a profile makes it a secrets file".to_owned(),
                };
                let mend = format!(
                    "sops encrypt -i {}; what was ever committed in the clear has to be replaced",
                    file.path
                );
                spots.push(Spot::new(&file.path, 1, format!("not encrypted, and {why}"), mend));
            }
            Ok(encrypted) if nothing_encrypted(encrypted) => {
                let line = line_of(encrypted.text(), encrypted.block());
                let what = format!("not one value is encrypted: `{}` selects none", encrypted.selection());
                let mend = "mend the rule in .sops.yaml, then encrypt the file again";
                spots.push(Spot::new(&file.path, line, what, mend));
            }
            _ => {}
        }
    }
    spots
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

pub(super) fn not_readable(observed: &Observed) -> Vec<Spot> {
    let mut spots = Vec::new();
    for file in &observed.files {
        if let Err(error) = &file.parsed
            && !is_plain(file, error)
        {
            let mend = format!("restore it: git log -- {}", file.path);
            spots.push(Spot::of_error(&file.path, &error.to_string(), mend));
        }
    }
    spots
}

pub(super) fn tracked(observed: &Observed) -> Vec<Spot> {
    let wrong = observed.files.iter().filter(|file| file.should_be_untracked);
    let spot = |file: &File| {
        let mend = format!("git rm --cached {0} and echo /{0} >> .gitignore", file.path);
        Spot::new(&file.path, 1, "git tracks it, and its profile says `commit: false`", mend)
    };
    wrong.map(spot).collect()
}

pub(super) fn clear_values(observed: &Observed) -> Vec<Spot> {
    leaves(
        observed,
        |selected, form| selected && form == Form::Clear,
        |file, path| {
            let what = format!("{path} is in the clear, and the file's rule wants it encrypted");
            (what, format!("sops edit {file}; replace the value if it was committed"))
        },
    )
}

pub(super) fn stray_ciphertext(observed: &Observed) -> Vec<Spot> {
    leaves(
        observed,
        |selected, form| !selected && matches!(form, Form::Encrypted(_)),
        |file, path| {
            let what =
                format!("{path} is encrypted, and the file's rule leaves it clear, so sops shows ENC[…]");
            (what, format!("restore the rule of {file}, or set the value again"))
        },
    )
}

fn leaves(
    observed: &Observed,
    wrong: impl Fn(bool, Form<'_>) -> bool,
    says: impl Fn(&str, &str) -> (String, String),
) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (file, encrypted) in readable(observed) {
        for leaf in encrypted.leaves().filter(|leaf| wrong(leaf.selected, leaf.form)) {
            let (what, mend) = says(&file.path, &leaf.path.to_string());
            spots.push(Spot::new(&file.path, line_of(encrypted.text(), leaf.offset), what, mend));
        }
    }
    spots
}

pub(super) fn no_mac(observed: &Observed) -> Vec<Spot> {
    let without = readable(observed).filter(|(_, encrypted)| !encrypted.has_mac());
    let spot = |(file, encrypted): (&File, &Encrypted)| {
        let line = line_of(encrypted.text(), encrypted.block());
        let what = "no MAC, so nothing shows that the file is complete and unchanged";
        Spot::new(&file.path, line, what, format!("restore it: git log -- {}", file.path))
    };
    without.map(spot).collect()
}

/// What the policy says about a file; `None` where there is nothing to compare it with.
fn wanted<'o>(observed: &'o Observed, file: &File) -> Option<Result<&'o Rule, PolicyError>> {
    if file.personal {
        return None;
    }
    // A policy that cannot be read is a finding of its own.
    let policy = observed.policy.as_ref()?.read.as_ref().ok()?;
    Some(policy.rule_for(&file.path))
}

fn differences(observed: &Observed) -> impl Iterator<Item = (&File, &Encrypted, Difference)> {
    readable(observed).flat_map(move |(file, encrypted)| {
        let rule = wanted(observed, file).and_then(Result::ok);
        let differences = rule.map(|rule| encrypted.differences(rule)).unwrap_or_default();
        differences.into_iter().map(move |difference| (file, encrypted, difference))
    })
}

fn is_about_readers(difference: &Difference) -> bool {
    is_missing(difference) || matches!(difference, Difference::Extra(_) | Difference::ExtraReader(_))
}

fn is_missing(difference: &Difference) -> bool {
    matches!(difference, Difference::Missing(_) | Difference::MissingReader(_))
}

pub(super) fn missing_readers(observed: &Observed) -> Vec<Spot> {
    let missing = differences(observed).filter(|(.., difference)| is_missing(difference));
    let spot = |(file, encrypted, difference): (&File, &Encrypted, Difference)| {
        let mend = format!("provision rekey {}", file.path);
        Spot::new(&file.path, line_in_block(encrypted, None), difference.to_string(), mend)
    };
    missing.map(spot).collect()
}

pub(super) fn recipients(observed: &Observed) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (file, encrypted, difference) in differences(observed) {
        let known_as = match &difference {
            Difference::Extra(recipient) => recipient.to_string(),
            Difference::ExtraReader(reader) => reader.id.clone(),
            _ => continue,
        };
        let mend = format!("provision rekey {}; or add it to .sops.yaml", file.path);
        let line = line_in_block(encrypted, Some(&known_as));
        spots.push(Spot::new(&file.path, line, difference.to_string(), mend));
    }
    for (file, encrypted) in readable(observed) {
        for recipient in encrypted.damaged_entries() {
            let line = line_in_block(encrypted, Some(&recipient.to_string()));
            let what = format!("the entry of {recipient} is no age file, so it opens nothing");
            let mend = format!("restore it: git log -- {}", file.path);
            spots.push(Spot::new(&file.path, line, what, mend));
        }
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

pub(super) fn rule(observed: &Observed) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (file, encrypted, difference) in differences(observed) {
        if !is_about_readers(&difference) {
            let mend = format!("provision rekey {}; or restore the rule", file.path);
            spots.push(Spot::new(&file.path, line_in_block(encrypted, None), difference.to_string(), mend));
        }
    }
    for (file, encrypted) in readable(observed) {
        let line = line_of(encrypted.text(), encrypted.block());
        let add = format!("add a creation rule whose path_regex matches {}", file.path);
        match wanted(observed, file) {
            Some(Err(PolicyError::NoRule { .. })) => {
                spots.push(Spot::new(&file.path, line, "no creation rule says who may read it", add));
            }
            None if !file.personal && observed.policy.is_none() => {
                spots.push(Spot::new(&file.path, line, "no .sops.yaml says who may read it", add));
            }
            _ => {}
        }
    }
    spots
}
