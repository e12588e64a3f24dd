//! Comments. Where the rule selects one, stock sops encrypts it too, bound to the path of the collection that it belongs
//! to; so that must be the one that sops will find when it reads the file. Where it could find another, a comment of a
//! new file is refused: sops would show it as ciphertext, or make it an element of a list.

use std::collections::BTreeSet;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::yaml::Comment;

use super::document::{Document, METADATA};
use super::edit::Edits;
use super::format::Format;
use super::ini;
use super::marks::Marks;
use super::outline::{Home, Outline, Standing};
use super::path::Path;
use super::render;
use super::seal::SealError;
use super::selection::Selection;
use super::value::{Cipher, Plain, Type, ValueError, is_encrypted};

/// A comment as sops sees it: one line, but for INI, where it is all lines above one key.
#[derive(Clone, Debug)]
pub(super) struct Remark {
    /// Without the character that starts it.
    pub(super) text: Zeroizing<String>,
    /// Its lines in the document, at least one.
    pub(super) spans: Vec<Range<usize>>,
    pub(super) home: Home,
    /// Whether sops takes it to stand behind the item above which it stands.
    pub(super) is_behind_item: bool,
}

impl Remark {
    /// Whether stock sops keeps it: it forgets what stands behind the last item of an INI file.
    fn is_kept(&self) -> bool {
        self.home.at != usize::MAX
    }

    /// Where its first line starts.
    pub(super) fn start(&self) -> usize {
        self.spans.first().map_or(0, |span| span.start)
    }
}

/// The comments of a document in order; those in the `sops` block are nobody's.
pub(super) fn remarks(document: &Document) -> Vec<Remark> {
    match document.format() {
        Format::Ini => ini::comments::remarks(document),
        Format::Dotenv => {
            let comments = document.tree().comments().iter();
            let remarks = comments.filter_map(|comment| {
                let root = document.root()?.node().id();
                let (container, path, at) = (root, Path::default(), comment.span.start);
                let (standing, elsewhere) = (Standing::Key, Vec::new());
                Some(remark(document, comment, Home { container, path, at, standing, elsewhere }))
            });
            remarks.collect()
        }
        Format::Yaml => of_yaml(document),
        Format::Json | Format::Binary => Vec::new(),
    }
}

fn of_yaml(document: &Document) -> Vec<Remark> {
    if document.tree().comments().is_empty() {
        return Vec::new();
    }
    let outlines = outlines(document);
    let mut comments = document.tree().comments();
    let mut remarks = Vec::new();
    for (index, (_, block, outline)) in outlines.iter().enumerate() {
        let next = outlines.get(index + 1).map_or(usize::MAX, |(start, ..)| *start);
        let (here, further) =
            comments.split_at(comments.partition_point(|comment| comment.span.start < next));
        comments = further;
        let own: Vec<&Comment> = here.iter().filter(|comment| !block.contains(&comment.span.start)).collect();
        let homes = outline.homes(&own);
        remarks.extend(own.into_iter().zip(homes).map(|(comment, home)| remark(document, comment, home)));
    }
    remarks
}

/// Where each document starts, the place of its `sops` block, and its items.
fn outlines(document: &Document) -> Vec<(usize, Range<usize>, Outline<'_>)> {
    let outlines = document.tree().documents().filter_map(|document_of| {
        let root = document_of.root()?.as_mapping()?;
        let block = root.entry(METADATA);
        let block = block.map_or(0..0, |entry| entry.key_node.span().start..entry.value.span().end);
        Some((document_of.start(), block, Outline::of(document.text(), root)))
    });
    outlines.collect()
}

fn remark(document: &Document, comment: &Comment, home: Home) -> Remark {
    let text = &document.text()[comment.span.clone()];
    let mut text = text.strip_prefix('#').unwrap_or(text);
    if document.format() == Format::Yaml {
        text = text.trim_end_matches('\r');
    }
    let span = comment.span.start..comment.span.start + 1 + text.len();
    Remark { text: Zeroizing::new(text.to_owned()), spans: vec![span], home, is_behind_item: false }
}

/// Encrypts the comments of a new file that the rule selects.
pub(super) fn encrypt(
    edits: &mut Edits,
    document: &Document,
    cipher: &Cipher,
    rule: &Selection,
    remarks: &[Remark],
    marks: &Marks,
) -> Result<(), SealError> {
    for (index, remark) in remarks.iter().enumerate() {
        check_marker(document, rule, remark)?;
        // go-ini writes a comment line by line, and fails on an empty one (file.go, `writeToBuffer`).
        if document.format() == Format::Ini && remark.text.starts_with('\n') && remark.is_kept() {
            return Err(SealError::EmptyLine { line: line(document, remark) });
        }
        if marks.remark(index) && !remark.text.is_empty() {
            replace(edits, document, cipher, rule, remark)?;
        }
    }
    Ok(())
}

/// A comment that decides what is encrypted must stand where every reader finds it.
fn check_marker(document: &Document, rule: &Selection, remark: &Remark) -> Result<(), SealError> {
    let decides = rule.comment_pattern().is_some_and(|pattern| pattern.is_match(&remark.text));
    if decides && remark.home.standing == Standing::Unsure {
        return Err(SealError::Marker { line: line(document, remark) });
    }
    Ok(())
}

fn replace(
    edits: &mut Edits,
    document: &Document,
    cipher: &Cipher,
    rule: &Selection,
    remark: &Remark,
) -> Result<(), SealError> {
    // Stock sops sees it in the place of the alias too, where its ciphertext is bound to another path.
    let is_copied = document.tree().node(remark.home.container).alias().is_some();
    if remark.home.standing != Standing::Key || is_copied {
        return Err(SealError::Comment { line: line(document, remark) });
    }
    let plain = Plain::new(Type::Comment, remark.text.as_bytes());
    let text = ciphertext(cipher, &plain, &remark.home.path)?;
    if matches!(rule, Selection::UnencryptedCommentRegex(pattern) if pattern.is_match(&text)) {
        return Err(SealError::Marker { line: line(document, remark) });
    }
    put(edits, document, remark, &text);
    Ok(())
}

/// Whether a comment can stand in the clear; in INI, its further lines have the marks that make them comments.
fn can_stand(document: &Document, text: &str) -> bool {
    let mut further = text.lines().skip(1);
    let ends_line = |char: char| match document.format() {
        Format::Yaml => !render::is_printable(char) && !matches!(char, '\t' | '\u{feff}'),
        _ => char == '\r',
    };
    !text.contains(ends_line)
        && !text.starts_with('\n')
        && further.all(|line| document.format() == Format::Ini && line.starts_with(['#', ';']))
}

/// Puts another text in the place of a comment; several lines become one.
fn put(edits: &mut Edits, document: &Document, remark: &Remark, text: &str) {
    let Some((first, rest)) = remark.spans.split_first() else { return };
    let mark = if document.format() == Format::Ini { "; " } else { "#" };
    edits.replace(first.clone(), format!("{mark}{text}"));
    let mut end = first.end;
    for span in rest {
        edits.replace(end..span.end, "");
        end = span.end;
    }
}

/// Comments of a file under another data key or another selection rule.
pub(super) struct Rekeyed {
    /// As they stand in the file.
    pub(super) stored: Vec<Remark>,
    /// The same, opened.
    pub(super) plain: Vec<Remark>,
    pub(super) was: Marks,
    pub(super) will: Marks,
}

impl Rekeyed {
    /// One that does not decrypt was not encrypted with the file's key, and one in the clear was written by a person;
    /// both stay as they are, as stock sops passes them through.
    pub(super) fn edit(
        &self,
        edits: &mut Edits,
        document: &Document,
        cipher: &Cipher,
        rule: &Selection,
        new_data_key: bool,
    ) -> Result<(), SealError> {
        for (index, (stored, plain)) in self.stored.iter().zip(&self.plain).enumerate() {
            check_marker(document, rule, plain)?;
            let (was, will) = (self.was.remark(index), self.will.remark(index));
            let (sealed, behind) = sealed_part(&stored.text);
            if stored.text != plain.text {
                if !will && !can_stand(document, &plain.text) {
                    return Err(SealError::Comment { line: line(document, stored) });
                } else if !will {
                    put(edits, document, stored, &format!("{}{behind}", &*plain.text));
                } else if new_data_key {
                    let comment = Plain::new(Type::Comment, plain.text.as_bytes());
                    let fresh = ciphertext(cipher, &comment, &plain.home.path)?;
                    put(edits, document, stored, &format!("{fresh}{behind}"));
                }
            } else if will && !was && !is_encrypted(sealed) && !stored.text.is_empty() {
                replace(edits, document, cipher, rule, plain)?;
            }
        }
        Ok(())
    }
}

/// How often comments of one file that open nowhere are tried elsewhere than where they stand. Whoever can write the file
/// can put thousands of them into it; stock sops tries none.
const IN_VAIN: usize = 10_000;

/// The comments with those in the clear that decrypt, bound to the collection that their ciphertext names.
pub(super) fn opened(document: &Document, cipher: &Cipher, remarks: &[Remark]) -> Vec<Remark> {
    opened_after(document, cipher, remarks).0
}

/// The same, and how many tries were in vain.
fn opened_after(document: &Document, cipher: &Cipher, remarks: &[Remark]) -> (Vec<Remark>, usize) {
    let mut owners: Option<Vec<Path>> = None;
    let mut in_vain = 0;
    let open = |remark: &Remark| {
        let (sealed, _) = sealed_part(&remark.text);
        if !is_encrypted(sealed) {
            return remark.clone();
        }
        // Stock sops may have moved it, so that any collection may be the one; the ciphertext itself says which.
        let decrypt = |path: &Path| {
            let plain = cipher.decrypt(sealed, &path.additional_data()).ok()?;
            let text = Zeroizing::new(str::from_utf8(&plain.bytes).ok()?.to_owned());
            (plain.kind == Type::Comment).then(|| (path.clone(), text))
        };
        let mut found = decrypt(&remark.home.path);
        if found.is_none() && in_vain < IN_VAIN {
            let owners = owners.get_or_insert_with(|| owners_in(document));
            found = owners.iter().find_map(decrypt);
            in_vain += if found.is_none() { owners.len() } else { 0 };
        }
        let Some((path, text)) = found else { return remark.clone() };
        let home = Home { path, ..remark.home.clone() };
        Remark { text, home, ..remark.clone() }
    };
    let opened = remarks.iter().map(open).collect();
    (opened, in_vain)
}

/// The ciphertext at the beginning of a comment, and what somebody wrote behind it: stock sops looks for the first only
/// (aes/cipher.go, `encre` has no end), and forgets the second.
pub(in crate::sops) fn sealed_part(text: &str) -> (&str, &str) {
    let end = text.rfind(']').filter(|_| text.starts_with("ENC["));
    text.split_at(end.map_or(text.len(), |end| end + 1))
}

/// The paths that a comment of the document can be bound to, each once.
fn owners_in(document: &Document) -> Vec<Path> {
    let mut known = BTreeSet::new();
    let mut owners = vec![Path::default()];
    let mut add = |path: &Path| {
        if known.insert(path.additional_data()) {
            owners.push(path.clone());
        }
    };
    for (_, _, outline) in outlines(document) {
        outline.owners().for_each(&mut add);
    }
    owners
}

/// Every comment in the clear, as far as it decrypts.
pub(super) fn plain(document: &Document, cipher: &Cipher) -> Vec<Zeroizing<String>> {
    let opened = opened(document, cipher, &remarks(document)).into_iter().map(|remark| remark.text);
    if document.format() != Format::Ini {
        return opened.collect();
    }
    // Several lines may have become one comment, and the other way round.
    let mut lines = Vec::new();
    for text in opened {
        let of_text = text.lines().map(|line| Zeroizing::new(ini::comments::stripped(line).to_owned()));
        lines.extend(of_text.filter(|line| !line.is_empty()));
    }
    lines
}

fn line(document: &Document, remark: &Remark) -> usize {
    document.tree().position(remark.start()).line
}

fn ciphertext(cipher: &Cipher, plain: &Plain, path: &Path) -> Result<String, SealError> {
    cipher.encrypt(plain.as_ref(), &path.additional_data()).map_err(|error| match error {
        ValueError::NoRandomness(error) => SealError::NoRandomness(error),
        other => SealError::unsound(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::value::DataKey;
    use super::*;

    #[test]
    fn comments_that_open_nowhere_do_not_hold_up_a_rekey() {
        let junk = "#ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:comment]\n".repeat(100);
        let mappings: String = (0..1000).map(|number| format!("m{number}:\n    k: v\n")).collect();
        let document = Document::of_text(Format::Yaml, format!("{junk}{mappings}")).unwrap();
        let cipher = Cipher::new(&DataKey::generate().unwrap());
        let (opened, in_vain) = opened_after(&document, &cipher, &remarks(&document));
        assert_eq!(opened.len(), 100);
        assert!((IN_VAIN..IN_VAIN + 2000).contains(&in_vain), "{in_vain}");
    }
}
