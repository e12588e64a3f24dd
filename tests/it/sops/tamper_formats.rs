//! What somebody without a key can do to a file, in all five formats: the verdict of stock sops is asked for each row, and
//! ours is the same, or stricter where the row says so.

use provision::sops::{Difference, DocumentError, Encrypted, Format, OpenError};

use super::case::{Case, cases};
use super::workshop::{Workshop, recipient};

/// What comes of opening a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Opens,
    /// The MAC is missing or wrong; 51 for stock sops.
    Mac,
    /// A value does not decrypt; 25 for stock sops.
    Value,
    /// No SOPS file, or none that a key opens.
    Unreadable,
}
use Verdict::{Mac, Opens, Unreadable, Value};

type Tamper = fn(&Case) -> Option<String>;

/// What is done, how stock sops takes it, whether we are stricter, and how it is done; `None` where a format has no such
/// thing.
const ROWS: &[(&str, Verdict, Option<Verdict>, Tamper)] = &[
    ("nothing", Opens, None, |case| Some(case.text.clone())),
    // What is detected.
    ("clear value changed", Mac, None, |case| {
        keyed(case)?.with_value("x_unencrypted", &case.written("2")).into()
    }),
    ("clear value added", Mac, None, |case| {
        keyed(case)?.inserted("x_unencrypted", "w_unencrypted", &case.written("z")).into()
    }),
    ("clear value dropped", Mac, None, |case| keyed(case)?.without("x_unencrypted").into()),
    ("clear values exchanged", Mac, None, |case| {
        keyed(case)?.exchanged("x_unencrypted", "y_unencrypted").into()
    }),
    ("secret dropped", Mac, None, |case| keyed(case)?.without("a").into()),
    ("secret made empty", Mac, None, |case| case.with_value(case.secret(), &case.written("")).into()),
    ("secrets in another order", Mac, None, |case| keyed(case)?.exchanged("a", "b").into()),
    ("secrets exchanged", Value, None, |case| {
        let (one, two) = (keyed(case)?.value("a"), case.value("b"));
        Some(case.text.replacen(&one, "…", 1).replacen(&two, &one, 1).replacen('…', &two, 1))
    }),
    ("secret under another name", Value, None, |case| keyed(case)?.renamed("a", "aa").into()),
    ("secret copied", Value, None, |case| keyed(case)?.inserted("b", "c", &case.value("a")).into()),
    ("secret of an older file", Value, None, |case| {
        let older = case.with_text(&case.older);
        case.with_value(case.secret(), &older.value(case.secret())).into()
    }),
    ("secret in the clear", Value, None, |case| {
        case.with_value(case.secret(), &case.written("hello")).into()
    }),
    ("type changed", Value, None, |case| case.edited(case.secret(), "type:str", "type:int").into()),
    ("text made a comment", Mac, None, |case| case.edited(case.secret(), "type:str", "type:comment").into()),
    ("type unknown", Value, None, |case| case.edited(case.secret(), "type:str", "type:uuid").into()),
    ("tag changed", Value, None, |case| case.flipped(case.secret(), "tag:").into()),
    ("ciphertext changed", Value, None, |case| case.flipped(case.secret(), "data:").into()),
    ("nonce changed", Value, None, |case| case.flipped(case.secret(), "iv:").into()),
    ("base64 cut off", Value, None, |case| case.edited(case.secret(), "=,type", ",type").into()),
    ("rule changed", Value, None, |case| {
        keyed(case)?.edited(&case.field("unencrypted_suffix"), "_unencrypted", "a").into()
    }),
    ("two rules", Unreadable, None, |case| {
        let field = case.field("encrypted_regex");
        keyed(case)?.inserted(&case.field("version"), &field, &case.written("^a$")).into()
    }),
    ("rule that is the default dropped", Opens, None, |case| {
        keyed(case)?.without(&case.field("unencrypted_suffix")).into()
    }),
    ("secret commented out", Mac, None, |case| {
        let line = keyed(case)?.line("a");
        let has_comments = matches!(case.format, Format::Yaml | Format::Dotenv | Format::Ini);
        has_comments.then(|| case.replaced(&line, &format!("# {line}")))
    }),
    ("narrow MAC claimed", Mac, None, |case| {
        keyed(case)?.inserted(&case.field("version"), &case.field("mac_only_encrypted"), "true").into()
    }),
    ("time changed", Mac, None, |case| {
        let field = case.field("lastmodified");
        let digit = if case.value(&field).contains("2026") { ("2026", "2025") } else { ("20", "21") };
        case.edited(&field, digit.0, digit.1).into()
    }),
    ("time that is none", Unreadable, None, |case| {
        case.with_value(&case.field("lastmodified"), &case.written("yesterday")).into()
    }),
    ("MAC dropped", Mac, None, |case| case.without(&case.field("mac")).into()),
    ("MAC of a value", Mac, None, |case| {
        case.with_value(&case.field("mac"), &case.value(case.secret())).into()
    }),
    ("MAC changed", Mac, None, |case| case.flipped(&case.field("mac"), "data:").into()),
    ("version dropped", Unreadable, None, |case| {
        // The last line of a JSON object has no comma.
        (!["json", "bin"].iter().any(|end| case.name.ends_with(end)))
            .then(|| case.without(&case.field("version")))
    }),
    ("version empty", Unreadable, None, |case| {
        case.with_value(&case.field("version"), &case.written("")).into()
    }),
    // What is not.
    ("clear key renamed", Opens, None, |case| keyed(case)?.renamed("x_unencrypted", "z_unencrypted").into()),
    ("bytes moved between clear values", Opens, None, |case| {
        let text = keyed(case)?.with_value("x_unencrypted", &case.written("12"));
        let moved = case.with_text(&text);
        moved.with_value("y_unencrypted", &case.written("3")).into()
    }),
    ("empty value added", Opens, None, |case| {
        keyed(case)?.inserted("x_unencrypted", "n", &case.written("")).into()
    }),
    ("null added", Opens, None, |case| keyed(case)?.nested()?.inserted("x_unencrypted", "n", "null").into()),
    ("empty list added", Opens, None, |case| {
        keyed(case)?.nested()?.inserted("x_unencrypted", "n", "[]").into()
    }),
    ("empty mapping added", Opens, None, |case| {
        keyed(case)?.nested()?.inserted("x_unencrypted", "n", "{}").into()
    }),
    ("comment added", Opens, None, |case| {
        let line = match case.format {
            Format::Yaml | Format::Dotenv | Format::Ini => case.line("x_unencrypted"),
            Format::Json | Format::Binary => return None,
        };
        Some(case.replaced(&line, &format!("# hello\n{line}")))
    }),
    ("version changed", Opens, None, |case| case.edited(&case.field("version"), "3.11.0", "3.9.0").into()),
    ("offset of the time", Opens, None, |case| {
        case.edited(&case.field("lastmodified"), "Z", "+00:00").into()
    }),
    ("fraction of a second", Opens, None, |case| case.edited(&case.field("lastmodified"), "Z", ".7Z").into()),
    ("unknown field", Opens, None, |case| {
        case.inserted(&case.field("version"), &case.field("x_note"), &case.written("hello")).into()
    }),
    ("rollback", Opens, None, |case| Some(case.older.clone())),
    ("alias of nothing", Opens, None, |case| {
        yaml(case)?.inserted("x_unencrypted", "w", "&v \"\"\nv: *v").into()
    }),
    ("anchor", Opens, None, |case| yaml(case)?.with_value("x_unencrypted", "&v \"1\"").into()),
    ("time without quotes", Opens, None, |case| {
        let time = yaml(case)?.value("lastmodified");
        case.with_value("lastmodified", time.trim_matches('"')).into()
    }),
    // Stock sops 3.11 names the type, and crashes when it reads one.
    ("text made bytes", Unreadable, Some(Opens), |case| {
        case.edited(case.secret(), "type:str", "type:bytes").into()
    }),
    // Where we are stricter.
    ("text behind a ciphertext", Opens, Some(Value), |case| {
        case.edited(case.secret(), "type:str]", "type:str] and more").into()
    }),
];

/// A binary file has no key but one.
fn keyed(case: &Case) -> Option<&Case> {
    (!case.is_binary()).then_some(case)
}

fn yaml(case: &Case) -> Option<&Case> {
    (case.format == Format::Yaml).then_some(case)
}

fn theirs(shop: &Workshop, case: &Case, text: &str) -> Verdict {
    shop.write(case.name, text);
    match shop.run(&["decrypt", case.name]).status.code() {
        Some(0) => Opens,
        Some(51) => Mac,
        Some(25) => Value,
        _ => Unreadable,
    }
}

fn ours(shop: &Workshop, case: &Case, text: &str) -> Verdict {
    let Ok(file) = Encrypted::parse(case.format, text.as_bytes()) else {
        return Unreadable;
    };
    match file.open(&shop.identities()) {
        Ok(_) => Opens,
        Err(OpenError::MacMismatch | OpenError::Mac { .. } | OpenError::NoMac) => Mac,
        Err(OpenError::Value { .. } | OpenError::Scalar { .. }) => Value,
        Err(_) => Unreadable,
    }
}

#[test]
fn every_row_has_the_verdict_of_stock_sops_or_a_stricter_one() {
    let shop = Workshop::new();
    let mut run = 0;
    for case in cases(&shop) {
        for (what, stock, stricter, tamper) in ROWS {
            let Some(text) = tamper(&case) else { continue };
            let what = format!("{what} in {}", case.name);
            assert!(text != case.text || what.starts_with("nothing"), "{what} changes nothing");
            assert_eq!(theirs(&shop, &case, &text), *stock, "stock sops: {what}");
            assert_eq!(ours(&shop, &case, &text), stricter.unwrap_or(*stock), "ours: {what}");
            run += 1;
        }
    }
    assert!(run > 150, "{run} rows");
}

/// Nothing vouches for the list of readers; so the rule is asked, not the file.
#[test]
fn a_reader_who_was_put_in_opens_and_is_reported_in_every_format() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for case in cases(&shop) {
        let eve = recipient().to_string();
        let ana = shop.recipient.to_string();
        // In the place of somebody whose key nobody here has.
        let ben = shop.others[0].to_string();
        let text = case.text.replacen(&ben, &eve, 1);
        assert_eq!(theirs(&shop, &case, &text), Opens, "{}", case.name);
        let file = Encrypted::parse(case.format, text.as_bytes()).unwrap();
        let differences = file.differences(&rule);
        assert!(differences.contains(&Difference::Extra(eve.parse().unwrap())), "{}", case.name);
        assert!(differences.contains(&Difference::Missing(ben.parse().unwrap())), "{}", case.name);
        assert_eq!(ours(&shop, &case, &text), Opens, "{}", case.name);
        // Our own entry for somebody else.
        let text = case.text.replacen(&ana, &eve, 1);
        assert_eq!(theirs(&shop, &case, &text), Opens, "{}", case.name);
        let opened = Encrypted::parse(case.format, text.as_bytes()).unwrap().open(&shop.identities());
        assert!(matches!(opened, Err(OpenError::LockedOut(_))), "{}", case.name);
    }
}

#[test]
fn a_file_without_metadata_is_named_as_such_in_every_format() {
    for (format, text) in [
        (Format::Yaml, "a: x\n"),
        (Format::Json, "{\"a\": \"x\"}"),
        (Format::Dotenv, "A=x\n"),
        (Format::Ini, "[s]\na=x\n"),
        (Format::Binary, "{\"data\": \"x\"}"),
    ] {
        let error = Encrypted::parse(format, text.as_bytes()).unwrap_err();
        assert!(matches!(error, DocumentError::Metadata(_)), "{format}: {error}");
        assert!(error.to_string().contains("not encrypted with sops"), "{format}: {error}");
    }
}
