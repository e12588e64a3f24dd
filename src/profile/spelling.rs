//! "Did you mean": the known word nearest to one that is not known.

/// The candidate nearest to `word`, if it is near enough to be a slip of it: one edit, or one in three letters.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase().replace('-', "_");
    let (distance, candidate) = candidates
        .into_iter()
        .map(|candidate| {
            (strsim::osa_distance(&folded, &candidate.to_lowercase().replace('-', "_")), candidate)
        })
        .min()?;
    (distance <= (folded.chars().count() / 3).max(1)).then_some(candidate)
}

/// `, did you mean `…`?` for the nearest candidate; else empty.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_gets_the_word_and_another_word_gets_none() {
        let keys = ["scopes", "role", "renew_before"];
        assert_eq!(did_you_mean("scope", keys), ", did you mean `scopes`?");
        assert_eq!(did_you_mean("renew-before", keys), ", did you mean `renew_before`?");
        assert_eq!(did_you_mean("Role", keys), ", did you mean `role`?");
        assert_eq!(did_you_mean("colour", keys), "");
        assert_eq!(nearest("x", []), None);
    }
}
