//! Block scalars, those of blank lines among them: each indicator, with text and without, wherever one may stand.

use serde_json::Value;

use super::workshop::{Workshop, now, path, secret};

const HEADERS: [&str; 11] = ["|", "|-", "|+", ">", ">-", ">+", "|2", "|2-", "|2+", ">1+", ">-1"];

const BODIES: [&str; 8] =
    ["", "\n", "\n\n", "  \n", "\n      \n", " \n  \n", "      text\n\n \n", "      text\n           \n\n"];

/// What stands before a value, and what follows it before the next key.
const PLACES: [(&str, &str); 6] = [
    (" ", ""),
    (" ", "# why\n"),
    ("\n  - ", "  - x\n"),
    ("\n  - ", ""),
    ("\n  inner: ", "  next: x\n"),
    ("\n  - inner: ", ""),
];

fn scalars() -> impl Iterator<Item = String> {
    HEADERS.iter().flat_map(|header| BODIES.map(|body| format!("{header}\n{body}")))
}

/// Stock sops writes texts with leading blanks in lists so that nobody can read them, itself included.
fn is_spoilt_in_lists(scalar: &str) -> bool {
    scalar.contains(['1', '2']) && scalar.contains("      ")
}

impl Workshop {
    /// Sealed by us, sealed by stock sops, and each after a new data key: all are one document to stock sops.
    fn agree_on(&self, text: &str) -> Value {
        let rule = self.rule("");
        let (ours, theirs) = (Self::seal(text, &rule), self.encrypt(text));
        let values = self.decrypt(&theirs);
        for file in [&ours, &theirs] {
            assert_eq!(self.decrypt(file), values, "{text}");
            let rotated = self.open(file).rotate_data_key(&rule, now(), &[]).unwrap();
            assert_eq!(self.decrypt(str::from_utf8(rotated.sealed.bytes()).unwrap()), values, "{text}");
        }
        values
    }
}

#[test]
fn block_scalars_are_sealed_and_rekeyed_wherever_they_stand() {
    let shop = Workshop::new();
    for (before, behind) in PLACES {
        for suffix in ["", "_unencrypted"] {
            let scalars = scalars().filter(|scalar| !before.contains('-') || !is_spoilt_in_lists(scalar));
            let entries =
                scalars.enumerate().map(|(n, scalar)| format!("k{n}{suffix}:{before}{scalar}{behind}"));
            shop.agree_on(&format!("first: x\n{}last: x\n", entries.collect::<String>()));
        }
    }
}

#[test]
fn a_block_scalar_may_end_the_file() {
    let shop = Workshop::new();
    for suffix in ["", "_unencrypted"] {
        for scalar in HEADERS
            .iter()
            .flat_map(|header| ["", "\n", "\n\n", "      \n"].map(|body| format!("{header}\n{body}")))
        {
            shop.agree_on(&format!("first: x\nk{suffix}: {scalar}"));
        }
    }
}

#[test]
fn a_block_scalar_of_blank_lines_is_changed_and_nothing_else_is() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for scalar in scalars() {
        let text = format!("k_unencrypted:\n  inner: {scalar}  next: x\nlast: y\n");
        let changed = shop.edit(&Workshop::seal(&text, &rule), |opened| {
            opened.set(&path("[\"k_unencrypted\"][\"inner\"]"), &secret("new")).unwrap();
        });
        let wanted = serde_json::json!({"k_unencrypted": {"inner": "new", "next": "x"}, "last": "y"});
        assert_eq!(shop.decrypt(&changed), wanted, "{text}");
    }
}
