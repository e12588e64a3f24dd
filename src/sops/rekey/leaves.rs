//! Values under another data key or another selection rule.

use super::super::document::Document;
use crate::yaml::{Node, Style};

use super::super::change::Stored;
use super::super::edit::Edits;
use super::super::format::Format;
use super::super::json;
use super::super::marks::Marks;
use super::super::open::Opened;
use super::super::path::LeafPath;
use super::super::render::Place;
use super::super::seal::{refuse_unlike_copies, stored};
use super::super::splice;
use super::super::value::{Cipher, PlainRef, Type};
use super::RekeyError;

impl Opened {
    /// Encrypts, or puts in the clear, every leaf that has to change. Those that stay as they are keep their bytes.
    pub(super) fn reencrypt(
        &self,
        edits: &mut Edits,
        cipher: &Cipher,
        will: &Marks,
        new_data_key: bool,
    ) -> Result<(), RekeyError> {
        let document = &self.file.document;
        refuse_unlike_copies(document, will)?;
        let leaves = self.file.marked_leaves().zip(will.leaves()).zip(document.copies());
        for ((((path, node, was), will), is_copy), value) in leaves.zip(self.values.iter()) {
            if is_copy || was == will && !(will && new_data_key) {
                continue;
            }
            let Some(value) = value.filter(|value| !value.bytes.is_empty()) else { continue };
            if will {
                let place = Place::of(node);
                // What was in the clear has quotes that an ENC[…] does not need.
                let place = if was { place } else { Place { style: Style::Plain, ..place } };
                splice::replace(
                    edits,
                    document,
                    node,
                    &stored(cipher, will, &path.additional_data(), value)?,
                    place,
                );
            } else {
                clear(edits, document, path, node, value)?;
            }
        }
        Ok(())
    }
}

/// Puts a value in the clear, so that it reads back with its type.
fn clear(
    edits: &mut Edits,
    document: &Document,
    path: LeafPath<'_>,
    node: Node<'_>,
    value: PlainRef<'_>,
) -> Result<(), RekeyError> {
    let refused = || RekeyError::CannotClear { position: node.position(), path: path.to_path() };
    let plain = str::from_utf8(value.bytes).map_err(|_| refused())?;
    if value.kind == Type::Str {
        let place = Place { style: Style::Plain, ..Place::of(node) };
        if !document.format().holds(plain, place) {
            return Err(refused());
        }
        splice::replace(edits, document, node, &Stored::Clear(plain.to_owned()), place);
        return Ok(());
    }
    let scalar = match document.format() {
        Format::Yaml => yaml_scalar(value.kind, plain),
        Format::Json => json_scalar(value.kind, plain),
        // Everything is a text there.
        Format::Binary | Format::Dotenv | Format::Ini => None,
    };
    let span = if node.tag().is_some() { node.full_span() } else { node.span() };
    edits.replace(span, scalar.ok_or_else(refused)?);
    Ok(())
}

/// `None` for an element of a list that is a comment, and for bytes: no scalar would read back as they are.
fn yaml_scalar(kind: Type, plain: &str) -> Option<String> {
    Some(match kind {
        Type::Int | Type::Time => plain.to_owned(),
        Type::Bool => plain.to_ascii_lowercase(),
        Type::Float => match plain {
            "NaN" => ".nan".to_owned(),
            "+Inf" => ".inf".to_owned(),
            "-Inf" => "-.inf".to_owned(),
            number if number.contains('.') => number.to_owned(),
            number => format!("{number}.0"),
        },
        Type::Str | Type::Bytes | Type::Comment => return None,
    })
}

/// `None` for what JSON cannot hold, and for numbers that versions of sops read differently.
fn json_scalar(kind: Type, plain: &str) -> Option<String> {
    match kind {
        Type::Bool => Some(plain.to_ascii_lowercase()),
        Type::Int | Type::Float => {
            let is_number = plain.parse::<f64>().is_ok_and(f64::is_finite);
            (is_number && !json::is_ambiguous(plain)).then(|| plain.to_owned())
        }
        Type::Str | Type::Time | Type::Bytes | Type::Comment => None,
    }
}
