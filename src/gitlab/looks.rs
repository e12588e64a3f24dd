//! What a text looks like, before anybody is asked: what does not look like a token of GitLab's may be any other secret, and
//! is shown to nobody.

use super::routable::{Wholeness, wholeness};
use crate::secret::Secret;

/// What a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// A token that can be asked whose it is.
    Token,
    /// Something like a token, and why it is not to be sent.
    Other(&'static str),
    /// Nothing of GitLab's.
    Nothing,
}

const PREFIX: &str = "glpat-";
/// How many random characters follow the prefix of a token that is not routable.
const RANDOM: usize = 20;

/// GitLab's default prefix, also behind that of an instance (`acme-glpat-`), or a routable token of whatever prefix.
#[must_use]
pub fn look_at(value: &Secret) -> Looks {
    let text = value.expose();
    if is_one_word(text) {
        let random = text.find(PREFIX).map(|at| text.len() - at - PREFIX.len());
        return match random {
            Some(RANDOM..) => Looks::Token,
            _ if wholeness(text) == Wholeness::Whole => Looks::Token,
            _ if ["gldt-", "gloas-", "glptt-", "glrt-"].iter().any(|prefix| text.starts_with(prefix)) => {
                Looks::Other("it looks like a token of a kind that cannot be asked whose it is")
            }
            _ => Looks::Nothing,
        };
    }
    match text.find(PREFIX) {
        Some(_) => Looks::Other(
            "it holds a token among other text, which may be a secret too: write its template by hand",
        ),
        None => Looks::Nothing,
    }
}

/// Whether both are of one instance that has set a prefix of its own (`personal_access_token_prefix`): one of them is known
/// to be a token, and all that differs is what is random. Where the prefix is empty, nothing can be said.
#[must_use]
pub fn are_alike(token: &Secret, value: &Secret) -> bool {
    let (token, text) = (token.expose(), value.expose());
    let Some(prefix) = token.len().checked_sub(RANDOM).and_then(|end| token.get(..end)) else { return false };
    !prefix.is_empty() && text.len() == token.len() && text.starts_with(prefix) && is_one_word(text)
}

fn is_one_word(text: &str) -> bool {
    text.len() <= 400 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn only_whole_values_that_look_like_tokens_are_ever_shown_to_anybody() {
        let looks = |text: &str| match look_at(&secret(text)) {
            Looks::Token => 't',
            Looks::Other(_) => 'o',
            Looks::Nothing => 'n',
        };
        assert_eq!(looks("glpat-aB3dE5gH7jK9mN1pQ3sT"), 't');
        assert_eq!(looks("acme-glpat-aB3dE5gH7jK9mN1pQ3sT"), 't');
        assert_eq!(looks("glpat-short"), 'n');
        assert_eq!(looks("https://me:glpat-aB3dE5gH7jK9mN1pQ3sT@gitlab.com"), 'o');
        assert_eq!(looks("gldt-aB3dE5gH7jK9mN1pQ3sT"), 'o');
        assert_eq!(looks("correct horse battery staple"), 'n');
        assert_eq!(looks("hunter2-very-secret"), 'n');
    }

    #[test]
    fn tokens_of_an_instance_with_a_prefix_of_its_own_are_known_by_one_another() {
        let own = secret("acme_aB3dE5gH7jK9mN1pQ3sT");
        assert!(are_alike(&own, &secret("acme_0123456789abcdefghij")));
        for other in
            ["acme-0123456789abcdefghij", "acme_0123456789abcdefghi", "acme_0123456789 bcdefghij", ""]
        {
            assert!(!are_alike(&own, &secret(other)), "{other}");
        }
        let bare = secret("aB3dE5gH7jK9mN1pQ3sT");
        assert!(!are_alike(&bare, &secret("correcthorsebattery1")));
    }
}
