//! Comments of a draft: what we encrypt, stock sops finds where we bound it to, and decrypts.

use provision::sops::{Draft, SealError};

use super::workshop::{Workshop, now};

/// Drafts whose comments are all kept. Each comment is a word of its own.
const KEPT: &[&str] = &[
    "# c1\n\n# c2\na: 1 # c3\n# c4\nb: # c5\n  # c6\n  c: 1\n  # c7\n\n  d: 2\n# c8\n\n# c9\n\ne: 1\n# c10\n",
    "# c1\na: 1\n\n# c2\n\n# c3\nb: 2\n",
    "# c1\na:\n  b:\n    c: 1 # c2\n    # c3\n    d: 1\n  # c4\n  e: 1\n# c5\nf: 1\n",
    "# c1\na:\n  - 1\n  - 2\n# c2\nb: 1\n",
    "# c1\na:\n  - 1\n\n# c2\nb: 1\n",
    "# c1\na:\n- x: 1 # c2\n  # c3\n  y: 2\n# c4\nb: 1\n",
    "# c1\na: | # c2\n  text\n# c3\nb: >-\n  x\n\n# c4\nc: 1\n",
    "# c1\na: [1, 2] # c2\nb: {x: 1} # c3\n# c4\nc: 1\n",
    "# c1\na: \"x\n  y\" # c2\nb: x\n  y # c3\n",
    "# c1\na: # c2\nb: ~ # c3\n# c4\n# c5\nc: '' # c6\n",
    "---\n# c1\na: 1\n",
    "# c1\n---\na: 1\n",
    "a:\n  b: 1\n\n  # c1\n\n  c: 1\n\n\n# c2\n\n\nd:\n  e: 1\n  # c3\n",
    "a:\n  b: 1\n  # c1\nc: 1\n",
    "a:\n  b: 1\n\n  # c1\n\nc: 1\n",
    "a:\n  b: 1\n# c1\n",
    "#c1\n#\n##c2\na: 1 #c3\n",
    "a:\n  # c1\n  b:\n    # c2\n    c: 1\n",
];

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<_> = text
        .split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| {
            word.len() > 1 && word.starts_with('c') && word[1..].bytes().all(|byte| byte.is_ascii_digit())
        })
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
        let ours = shop.seal(draft, &rule);
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
    let draft = "# c1\nkind: Secret # c2\ndata: # c3\n  # c4\n  a: 1 # c5\n# c6\nmeta: 1\n";
    let ours = shop.seal(draft, &rule);
    assert_eq!(words(&ours), ["c1", "c2", "c3", "c6"]);
    assert_eq!(words(&shop.encrypt(draft)), words(&ours));
    shop.write("file.yaml", &ours);
    let decrypted = shop.sops(&["decrypt", "file.yaml"]);
    assert_eq!((words(&decrypted.stdout), decrypted.stderr.as_str()), (words(draft), ""));
}

#[test]
fn a_comment_that_stock_sops_would_put_into_a_list_is_refused_with_its_line() {
    let rule = Workshop::new().rule("");
    let error = Draft::parse("a:\n  - 1\n  # c1\n  - 2\n").unwrap().seal(&rule, now(), &[]).unwrap_err();
    assert!(matches!(error, SealError::Comment { line: 3 }));
}
