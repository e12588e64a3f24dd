//! The rules about comments: which comment decides about which leaf, every row against the stock sops.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provision::sops::{Alone, Draft, Encrypted, Format, SealError};

use super::workshop::{Workshop, now};

/// Leaves with a number each, comments that match (`MARK`) and others.
const DOCUMENTS: &[&str] = &[
    "# MARK\na: v1\nb: v2\n",
    "# MARK\n\na: v1\nb: v2\n",
    "a: v1 # MARK\nb: v2\n",
    "a:\n  # MARK\n  b: v1\n  c: v2\nd: v3\n",
    "a: # MARK\n  b: v1\n  c: v2\nd: v3\n",
    "a:\n  b: v1\n  # MARK\n  c: v2\n# MARK\nd:\n  e: v3\n  f:\n    g: v4\nh: v5\n",
    "a: # MARK\n  - v1\n  - v2\nd: v3\n",
    "a:\n  # MARK\n  - v1\n  - v2\nd: v3\n",
    "a:\n  - v1 # MARK\n  - v2\nd: v3\n",
    "a:\n  - v1\n  # MARK\n  - v2\n  - v3\nd: v4\n",
    "a:\n- x: v1 # MARK\n  y: v2\n- x: v3\n  # MARK\n  y: v4\n# MARK\n- x: v5\n  y: v6\nb: v7\n",
    "a:\n  - v1\n# MARK\nd: v2\n",
    "a:\n  b: v1\n  # MARK\nd: v2\n",
    "a:\n  b: v1\n# MARK\n\nd: v2\ne: v3\n",
    "a: v1\n# MARK\n\nd: v2\ne: v3\n",
    "a: {x: v1, y: v2} # MARK\nb: v3\n",
    "a: |  # MARK\n  v1\nb: v2\n",
    "a: \"v1\n  x\" # MARK\nb: v2\n",
    "a: ~ # MARK\nb: v1\n# MARK\nc: ''\nd: v2\n",
    "---\n# MARK\na: v1\nb: v2\n",
    "# MARK\n---\na: v1\nb: v2\n",
    "# foo\n# MARK\n# bar\na: v1\n# bar\nb: v2\n# foo\n# MARK\n",
    "# MARK\na:\n  # MARK\n  b: v1 # bar\n",
    "# xMARKx\n\n# foo\na: v1\n#MARK\nb: v2\n",
    "a: v1 # MARK\n# MARK\nb: v2\n",
];

/// Each value of the document, and whether it is encrypted.
fn leaves(format: Format, text: &str) -> Vec<(String, bool)> {
    let file = Encrypted::parse(format, text.as_bytes()).unwrap();
    let leaves =
        file.leaf_paths().map(|path| (path.to_string(), file.leaf(&path).unwrap().starts_with("ENC[")));
    leaves.collect()
}

/// The document as each of us encrypts it; `None` for us where we refuse a comment.
fn both(shop: &Workshop, rule: &str, document: &str) -> (String, Option<String>) {
    // One leaf more of each kind, as a file must have something encrypted.
    let document = format!("{document}zz:\n  # MARK\n  y: w1\n  z: w2\n");
    let rule = shop.rule(rule);
    let theirs = shop.encrypt(&document);
    let ours = match Draft::parse(Format::Yaml, &document).unwrap().seal(&rule, &Alone, now(), &[]) {
        Ok(sealed) => Some(String::from_utf8(sealed.bytes().to_vec()).unwrap()),
        Err(SealError::Comment { .. } | SealError::Marker { .. }) => None,
        Err(error) => panic!("{error}\n{document}"),
    };
    (theirs, ours)
}

/// The document without sops's block.
fn body_of(text: &str) -> &str {
    text.split("\nsops:").next().unwrap()
}

/// Holds both against each other; whether we took the document.
fn compare(shop: &Workshop, rule: &str, document: &str) -> bool {
    let (theirs, ours) = both(shop, rule, document);
    shop.write("theirs.yaml", &theirs);
    // Stock sops may move a comment to where it decides about something else, and no longer read its own file.
    if shop.run(&["decrypt", "theirs.yaml"]).status.success() {
        shop.open(&theirs);
    }
    let Some(ours) = ours else { return false };
    assert_eq!(
        leaves(Format::Yaml, &ours),
        leaves(Format::Yaml, &theirs),
        "{document}\n{}\n{}",
        body_of(&ours),
        body_of(&theirs)
    );
    shop.write("ours.yaml", &ours);
    let decrypted = shop.run(&["decrypt", "ours.yaml"]);
    // It warns of comments that it would have encrypted, or bound to another place.
    let said = String::from_utf8_lossy(&decrypted.stderr);
    assert!(decrypted.status.success() && said.is_empty(), "{document}\n{}\n{said}", body_of(&ours));
    shop.open(&ours);
    true
}

/// Documents tried at random.
const CASES: u32 = 60;

const RULES: [&str; 4] = [
    "encrypted_comment_regex: MARK",
    "unencrypted_comment_regex: MARK",
    "encrypted_comment_regex: ^\\s*MARK$\n    mac_only_encrypted: true",
    "unencrypted_comment_regex: ^\\s*MARK$\n    mac_only_encrypted: true",
];

/// Stock sops would make an element of the list of a comment that it encrypts there.
fn may_be_refused(rule: &str, document: &str) -> bool {
    rule.starts_with("unencrypted") && document.contains("- ")
}

#[test]
fn a_comment_decides_about_what_stock_sops_lets_it_decide() {
    let shop = Workshop::new();
    for rule in RULES {
        for document in DOCUMENTS {
            assert!(compare(&shop, rule, document) || may_be_refused(rule, document), "{rule}\n{document}");
        }
    }
}

/// A collection with comments in places that a person would think of.
#[derive(Clone, Debug)]
enum Body {
    Leaf,
    Map(Vec<(Around, Body)>),
    List(Vec<(Around, Body)>),
}

#[derive(Clone, Debug)]
struct Around {
    above: Vec<bool>,
    gap: u8,
    behind: Option<bool>,
}

fn around() -> impl Strategy<Value = Around> {
    let above = proptest::collection::vec(any::<bool>(), 0..2);
    (
        prop_oneof![2 => Just(Vec::new()), 1 => above],
        0..6_u8,
        prop_oneof![5 => Just(None), 1 => any::<bool>().prop_map(Some)],
    )
        .prop_map(|(above, gap, behind)| Around { above, gap, behind })
}

fn body() -> impl Strategy<Value = Body> {
    Just(Body::Leaf).prop_recursive(3, 16, 4, |inner| {
        let items = || proptest::collection::vec((around(), inner.clone()), 1..4);
        prop_oneof![3 => items().prop_map(Body::Map), 1 => items().prop_map(Body::List)]
    })
}

struct Writer {
    text: String,
    leaves: usize,
}

impl Writer {
    fn comment(&mut self, matches: bool) {
        self.text.push_str(if matches { "# MARK" } else { "# other" });
    }

    fn items(&mut self, items: &[(Around, Body)], indent: usize, lead: &str, in_list: bool) {
        for (index, (around, body)) in items.iter().enumerate() {
            let is_led = index == 0 && !lead.is_empty();
            if !is_led {
                if around.gap == 1 {
                    self.text.push('\n');
                }
                for matches in &around.above {
                    self.text.push_str(&" ".repeat(indent));
                    self.comment(*matches);
                    self.text.push('\n');
                }
                if around.gap == 2 {
                    self.text.push('\n');
                }
                self.text.push_str(&" ".repeat(indent));
            }
            if in_list {
                self.text.push_str("- ");
            } else {
                self.text.push_str(&format!("k{index}:"));
            }
            let behind = |writer: &mut Self| {
                if let Some(matches) = around.behind {
                    writer.text.push(' ');
                    writer.comment(matches);
                }
                writer.text.push('\n');
            };
            match body {
                Body::Leaf => {
                    self.leaves += 1;
                    let value = format!("{}v{}", if in_list { "" } else { " " }, self.leaves);
                    self.text.push_str(&value);
                    behind(self);
                }
                Body::Map(items) if in_list => self.items(items, indent + 2, "- ", false),
                Body::List(items) if in_list => self.items(items, indent + 2, "- ", true),
                Body::Map(items) => {
                    behind(self);
                    self.items(items, indent + 2, "", false);
                }
                Body::List(items) => {
                    behind(self);
                    self.items(items, indent + if around.gap == 3 { 0 } else { 2 }, "", true);
                }
            }
        }
    }
}

#[test]
fn random_comments_decide_as_in_stock_sops() {
    let shop = Workshop::new();
    let taken = std::cell::Cell::new(0);
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let strategy = (proptest::collection::vec((around(), body()), 1..4), 0..RULES.len());
    runner
        .run(&strategy, |(items, rule)| {
            let mut writer = Writer { text: String::new(), leaves: 0 };
            writer.items(&items, 0, "", false);
            taken.set(taken.get() + u32::from(compare(&shop, RULES[rule], &writer.text)));
            Ok(())
        })
        .unwrap();
    assert!(taken.get() > CASES / 2, "only {} of {CASES} documents were taken", taken.get());
}
