//! Comments of a draft: what we encrypt, stock sops finds where we bound it to, and decrypts.

use provision::sops::{Draft, Format, SealError};

use super::workshop::{Workshop, now};

/// Drafts whose comments are all kept. Each comment is a word of its own.
const KEPT: &[&str] = &[
    "# word1\n\n# word2\na: 1 # word3\n# word4\nb: # word5\n  # word6\n  c: 1\n  # word7\n\n  d: 2\n# word8\n\n# word9\n\ne: 1\n# word10\n",
    "# word1\na: 1\n\n# word2\n\n# word3\nb: 2\n",
    "# word1\na:\n  b:\n    c: 1 # word2\n    # word3\n    d: 1\n  # word4\n  e: 1\n# word5\nf: 1\n",
    "# word1\na:\n  - 1\n  - 2\n# word2\nb: 1\n",
    "# word1\na:\n  - 1\n\n# word2\nb: 1\n",
    "# word1\na:\n- x: 1 # word2\n  # word3\n  y: 2\n# word4\nb: 1\n",
    "# word1\na: | # word2\n  text\n# word3\nb: >-\n  x\n\n# word4\nc: 1\n",
    "# word1\na: [1, 2]\nb: {x: 1} # word3\n# word4\nc: 1\n",
    "# word1\na: \"x\n  y\" # word2\nb: x\n  y # word3\n",
    "# word1\na: # word2\nb: ~ # word3\n# word4\n# word5\nc: '' # word6\nd: 1\n",
    "---\n# word1\na: 1\n",
    "# word1\n---\na: 1\n",
    "a:\n  b: 1\n\n  # word1\n\n  c: 1\n\n\n# word2\n\n\nd:\n  e: 1\n  # word3\n",
    "a:\n  b: 1\n  # word1\nc: 1\n",
    "a:\n  b: 1\n\n  # word1\n\nc: 1\n",
    "a:\n  b: 1\n# word1\n",
    "#word1\n#\n##word2\na: 1 #word3\n",
    "a:\n  # word1\n  b:\n    # word2\n    c: 1\n",
    "\u{feff}# word1\na: 1\n# word2\nb: 2\n",
    "\u{feff}a: 1 # word1\nb: 2\n",
    "a: 1\n# word1\n---\n# word2\nb: 1 # word3\n# word4\n\n---\nc: 1\n# word5\n",
    "a: 1 # word1\n\n# word2\n\n---\n\n# word3\n\nb:\n  - 1\n# word4\nc: 1\n",
    "# word1\nl: [&a x, *a]\n# word2\nm_unencrypted: &m {x: 1}\nn_unencrypted: *m # word3\n# word4\nlast: 1\n",
];

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<_> = text
        .split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| word.starts_with("word"))
        .map(str::to_owned)
        .collect();
    words.sort();
    words
}

#[test]
fn stock_sops_decrypts_every_comment() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for draft in KEPT {
        let ours = Workshop::seal(draft, &rule);
        assert_eq!(words(&ours), Vec::<String>::new(), "{ours}");
        shop.write("file.yaml", &ours);
        let decrypted = shop.sops(&["decrypt", "file.yaml"]);
        assert_eq!(decrypted.stderr, "", "{draft}\n{ours}");
        assert_eq!(words(&decrypted.stdout), words(draft), "{draft}");
        assert!(!decrypted.stdout.contains("ENC["), "{draft}");
    }
}

/// Above all where the rule leaves the top of the document in the clear.
#[test]
fn comments_are_encrypted_exactly_where_stock_sops_would() {
    let shop = Workshop::new();
    let rule = shop.rule("encrypted_regex: ^data$");
    let draft = "# word1\nkind: Secret # word2\ndata: # word3\n  # word4\n  a: 1 # word5\n# word6\nmeta: 1\n";
    let ours = Workshop::seal(draft, &rule);
    assert_eq!(words(&ours), ["word1", "word2", "word3", "word6"]);
    assert_eq!(words(&shop.encrypt(draft)), words(&ours));
    shop.write("file.yaml", &ours);
    let decrypted = shop.sops(&["decrypt", "file.yaml"]);
    assert_eq!((words(&decrypted.stdout), decrypted.stderr.as_str()), (words(draft), ""));
}

#[test]
fn a_comment_that_stock_sops_would_put_into_a_list_is_refused_with_its_line() {
    let rule = Workshop::new().rule("");
    let error = Draft::parse(Format::Yaml, "a:\n  - 1\n  # word1\n  - 2\n")
        .unwrap()
        .seal(&rule, &provision::sops::Alone, now(), &[])
        .unwrap_err();
    assert!(matches!(error, SealError::Comment { line: 3 }));
}

/// What stands beside the items, or is parted from them, stock sops may see in a mapping further out, whose comments it
/// encrypts although ours stand in the clear; or the other way round.
#[test]
fn a_comment_that_stock_sops_may_see_elsewhere_is_refused_where_that_matters() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let refused = [
        ("a_unencrypted:\n- x\n  # word1\nb: 1\n", 3),
        ("a_unencrypted:\n- # word1\nb: 1\n", 2),
        ("a_unencrypted:\n  b: 1\nc: 1\n  # word1\nd: 1\n", 4),
        ("a:\n  b: 1\n# word1\n  # word2\n\nc: 1\n", 4),
        ("a:\n  b: 1\n  # word1\n\n  # word2\nc: 1\n", 5),
    ];
    for (draft, line) in refused {
        let sealed =
            Draft::parse(Format::Yaml, draft).unwrap().seal(&rule, &provision::sops::Alone, now(), &[]);
        assert!(matches!(sealed, Err(SealError::Comment { line: at }) if at == line), "{draft}");
    }
    // Where all around them is in the clear they stay.
    let rule = shop.rule("encrypted_regex: ^z$");
    for (draft, _) in refused {
        let ours = Workshop::seal(&format!("{draft}z: 1\n"), &rule);
        shop.write("file.yaml", &ours);
        assert_eq!(shop.sops(&["decrypt", "file.yaml"]).stderr, "", "{ours}");
    }
}
