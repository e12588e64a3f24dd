use super::super::tests::{NOW, person};
use super::super::{Draft, Encrypted, Format, Opened, Policy};
use super::*;
use jiff::Timestamp;

fn opened(draft: &str, rule: &str) -> Opened {
    let person = person();
    let policy = format!("creation_rules:\n- age: {}\n  {rule}\n", person.recipient);
    let rule = Policy::parse(&policy).unwrap().rule_for("x").unwrap().clone();
    let sealed = Draft::parse(Format::Yaml, draft)
        .unwrap()
        .seal(&rule, &crate::sops::Alone, Timestamp::from_second(NOW).unwrap(), &[])
        .unwrap();
    Encrypted::parse(Format::Yaml, sealed.bytes()).unwrap().open(&person.identities).unwrap()
}

/// The document in the clear.
fn text(opened: &Opened) -> String {
    String::from_utf8(opened.document().unwrap().to_vec()).unwrap()
}

const DRAFT: &str = "\
# of qa

host: https://gitlab.com # where
data:
    # the token
    token: glpat-x
    port: 8080
    ratio: 1.5
    big: .inf
    on: true
    day: 2001-12-14
    none: ~
    empty: \"\"
list: [1, two]
dotted.key: 5
";

#[test]
fn a_document_comes_back_byte_for_byte_where_it_was_written_as_sops_would() {
    // In a flow collection a text needs its quotes, and a time is written whole.
    let draft = DRAFT.replace("2001-12-14", "2001-12-14T00:00:00Z").replace("two]", "\"two\"]");
    assert_eq!(text(&opened(&draft, "")), draft);
}

#[test]
fn what_the_rule_leaves_clear_stays_as_it_was_written() {
    let draft = "meta:\n  name:   'x'  # c\n  n: 0x1F\ndata:\n  a: 0x1F\n";
    let shown = opened(draft, "encrypted_regex: ^data$");
    assert_eq!(text(&shown), draft.replace("  a: 0x1F", "  a: 31"));
}

#[test]
fn texts_of_several_lines_become_blocks_that_read_back() {
    for value in
        ["a\nb\n", "a\nb", "a\n\n\nb\n\n", " a\nb", "a\n \nb", "\n", "a\tb\nc", "a\r\nb\n", "é\n# x\n- y\n"]
    {
        let draft = format!(
            "k:\n  deep: {0}\nlist:\n  - {0}\n  - m: {0}\n    n: 1\nlast: {0}\n",
            serde_json::Value::from(value)
        );
        let opened = opened(&draft, "");
        let text = text(&opened);
        let again = Draft::parse(Format::Yaml, &text).unwrap();
        let values: Vec<&str> = again.leaves().map(|(_, text, _)| text).collect();
        assert_eq!(values, [value, value, value, "1", value], "{text}");
    }
    assert_eq!(text(&opened("k: \"a\\nb\\n\"\n", "")), "k: |\n    a\n    b\n");
}

#[test]
fn json_has_the_types_of_the_file() {
    let json = opened(DRAFT, "").json(&Path::default()).unwrap();
    let value: serde_json::Value = serde_json::from_str(json.expose()).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "host": "https://gitlab.com",
            "data": {
                "token": "glpat-x", "port": 8080, "ratio": 1.5, "big": "+Inf", "on": true,
                "day": "2001-12-14T00:00:00Z", "none": null, "empty": ""
            },
            "list": [1, "two"],
            "dotted.key": 5
        })
    );
    let part = opened(DRAFT, "").json(&"[\"list\"]".parse().unwrap()).unwrap();
    assert_eq!(part.expose(), "[\n  1,\n  \"two\"\n]");
}

#[test]
fn one_value_is_exactly_its_bytes() {
    let opened = opened(DRAFT, "");
    let raw = |path: &str| opened.raw(&path.parse().unwrap()).map(|bytes| bytes.to_vec());
    assert_eq!(raw("[\"data\"][\"token\"]").unwrap(), b"glpat-x");
    assert_eq!(raw("[\"data\"][\"on\"]").unwrap(), b"true");
    assert_eq!(raw("[\"data\"][\"none\"]"), None);
    assert_eq!(raw("[\"data\"][\"empty\"]").unwrap(), b"");
}

#[test]
fn a_comment_that_was_moved_where_it_does_not_belong_is_passed_through() {
    let was = opened("a:\n  # one\n  b: x\n# two\nc: y0\n# three\nd: z\n", "");
    let comments: Vec<&str> = was.file.comments().map(|(_, text)| text).collect();
    let moved = was.file.text().replacen(comments[2], comments[0], 1);
    let wanted = format!("a:\n  # one\n  b: x\n# two\nc: y0\n{}\nd: z\n", comments[0]);
    let file = Encrypted::of_text(Format::Yaml, moved).unwrap();
    let opened = Opened { file, ..was };
    assert_eq!(text(&opened), wanted);
}

#[test]
fn a_place_is_found_by_its_path_or_its_dotted_keys() {
    let file = opened("a:\n  b:\n  - c: x\na.b: y\ne.f: z\n", "").file;
    let at = |text: &str| file.locate(text).map(|path| path.to_string());
    assert_eq!(at("a").unwrap(), "[\"a\"]");
    assert_eq!(at("a.b.0.c").unwrap(), "[\"a\"][\"b\"][0][\"c\"]");
    assert_eq!(at("[\"a\"][\"b\"]").unwrap(), "[\"a\"][\"b\"]");
    assert_eq!(at("e.f").unwrap(), "[\"e.f\"]");
    assert!(matches!(at("a.b"), Err(LocateError::Ambiguous { .. })));
    for missing in ["x", "a.", "", "a.b.1", "[\"a\"][\"x\"]", "sops"] {
        assert!(matches!(at(missing), Err(LocateError::Missing { .. })), "{missing}");
    }
    assert!(matches!(at("[a]"), Err(LocateError::Path(_))));
}

#[test]
fn a_place_is_looked_for_in_the_first_document() {
    let file = opened("a: {b: x}\n---\na: {c: y}\nd: z\n", "").file;
    let at = |text: &str| file.locate(text).map(|path| path.to_string());
    assert_eq!(at("a.b").unwrap(), "[\"a\"][\"b\"]");
    for missing in ["a.c", "d", "[\"d\"]", "[\"a\"][\"c\"]"] {
        assert!(matches!(at(missing), Err(LocateError::Missing { .. })), "{missing}");
    }
}

#[test]
fn several_documents_are_an_array_in_json() {
    let opened = opened("a: 1\n---\nb: [x]\n---\na: {}\n", "");
    let json = |path: &Path| opened.json(path).unwrap().expose().to_owned();
    let values: serde_json::Value = serde_json::from_str(&json(&Path::default())).unwrap();
    assert_eq!(values, serde_json::json!([{"a": 1}, {"b": ["x"]}, {"a": {}}]));
    assert_eq!(json(&"[\"a\"]".parse().unwrap()), "1");
    let last = "  {\n    \"a\": {}\n  }\n]";
    assert!(json(&Path::default()).ends_with(last), "{}", json(&Path::default()));
}

#[test]
fn leaves_say_how_they_are_stored_without_a_key() {
    let file = opened("s: x\nn: 5\nopen_unencrypted: y\nnone: ~\n", "").file;
    let forms: Vec<_> = file.leaves().map(|leaf| (leaf.form.to_string(), leaf.selected)).collect();
    assert_eq!(
        forms,
        [
            ("encrypted str".to_owned(), true),
            ("encrypted int".to_owned(), true),
            ("clear".to_owned(), false),
            ("empty".to_owned(), true)
        ]
    );
    assert!(file.has_mac());
    assert_eq!(file.damaged_entries().count(), 0);
    assert!(file.text()[file.block()..].starts_with("sops:"));
}
