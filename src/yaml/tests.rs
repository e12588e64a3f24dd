use proptest::prelude::*;

use super::*;

fn tree(text: &str) -> Tree {
    Tree::parse(text).unwrap()
}

fn error(text: &str) -> Error {
    Tree::parse(text).unwrap_err()
}

/// Source of the node under these keys.
fn source<'t>(tree: &'t Tree, keys: &[&str]) -> &'t str {
    keys.iter().fold(tree.root().unwrap(), |node, key| node.get(key).unwrap()).source()
}

#[test]
fn scalars_span_their_presentation() {
    let tree = tree("a: plain text # c\n'b': 'it''s'\nc: \"q \\u00e9\"\nd: &x !!str é\ne:\nf: [1, {g: 2}]\n");
    let root = tree.root().unwrap();
    assert_eq!(source(&tree, &["a"]), "plain text");
    assert_eq!(source(&tree, &["b"]), "'it''s'");
    assert_eq!(root.get("b").unwrap().as_str(), Some("it's"));
    assert_eq!(root.get("c").unwrap().as_str(), Some("q é"));
    let tagged = root.get("d").unwrap();
    assert_eq!(
        (tagged.source(), tagged.anchor(), tagged.tag()),
        ("é", Some("x"), Some("tag:yaml.org,2002:str"))
    );
    assert_eq!(&tree.text()[tagged.full_span()], "&x !!str é");
    assert!(root.get("e").unwrap().is_null());
    assert_eq!(source(&tree, &["e"]), "");
    assert_eq!(source(&tree, &["f"]), "[1, {g: 2}]");
}

#[test]
fn a_block_scalar_spans_from_its_header_to_the_end_of_its_text() {
    let text = "a: | # note > x\n  one\n   two  \n\n# after\nb: >-\n  folded\n  more\n\n\nc: |2\n     deep\nd: end\n";
    let tree = tree(text);
    assert_eq!(source(&tree, &["a"]), "| # note > x\n  one\n   two  ");
    assert_eq!(source(&tree, &["b"]), ">-\n  folded\n  more");
    assert_eq!(source(&tree, &["c"]), "|2\n     deep");
    assert_eq!(tree.root().unwrap().get("c").unwrap().as_str(), Some("   deep\n"));
}

#[test]
fn a_block_scalar_that_keeps_blank_lines_spans_them() {
    let tree = tree("a:\n  - |+\n   keep\n\n\n  - x\nb: |+\n  end\n\n");
    let first = tree.root().unwrap().get("a").unwrap().as_sequence().unwrap().items().next().unwrap();
    assert_eq!(first.source(), "|+\n   keep\n\n");
    assert_eq!(source(&tree, &["b"]), "|+\n  end\n");
}

#[test]
fn an_empty_block_scalar_spans_its_header() {
    let tree = tree("a: |\n\n# comment\nb: >-\nc: | # why\n# more\n\n# and\nd: 1\n");
    assert_eq!(source(&tree, &["a"]), "|");
    assert_eq!(source(&tree, &["b"]), ">-");
    assert_eq!(source(&tree, &["c"]), "|");
    for text in ["a: |", "a: >-\n", "a: |+ # c", "a: |+", "a: |2 \n\n"] {
        let tree = self::tree(text);
        let header = text[3..].split([' ', '\n']).next().unwrap();
        assert!(source(&tree, &["a"]).starts_with(header), "{text}");
    }
}

/// Texts of all leaves of all documents.
fn leaves(text: &str) -> Vec<String> {
    fn collect(node: Node<'_>, found: &mut Vec<String>) {
        match node.kind() {
            Kind::Mapping(mapping) => mapping.entries().for_each(|entry| collect(entry.value, found)),
            Kind::Sequence(sequence) => sequence.items().for_each(|item| collect(item, found)),
            _ => found.push(node.as_str().unwrap().to_owned()),
        }
    }
    let mut found = Vec::new();
    tree(text).documents().for_each(|document| collect(document.root().unwrap(), &mut found));
    found
}

#[test]
fn a_block_scalar_is_replaced_and_followed_without_touching_anything_else() {
    let headers = ["|", "|-", "|+", ">", ">-", ">+", "|2", "|2-", "|2+", ">1+", "|+ # c"];
    let bodies =
        ["", "\n", "\n\n", "  \n", "\n      \n", " \n  \n", "    x\n\n \n", "    x\n        \n\n", "    x"];
    let below: [(&str, &[&str], &str); 3] = [
        ("a: ", &["", "b: 1\n", "# c\nb: 1\n", "\n# c\n", "---\nb: 1\n"], "z: 1\n"),
        ("a:\n  - ", &["", "  - x\n", "  # c\n  - x\n", "b: 1\n"], "  - z\n"),
        ("a:\n  b: ", &["", "  c: 1\n", "b: 1\n"], "  z: 1\n"),
    ];
    for (before, behind, sibling) in below {
        let texts = behind.iter().flat_map(|behind| bodies.map(|body| (body, *behind)));
        for (header, (body, behind)) in
            headers.iter().flat_map(|header| texts.clone().map(move |it| (header, it)))
        {
            let break_before =
                if behind.is_empty() || body.ends_with('\n') || body.is_empty() { "" } else { "\n" };
            for newline in ["\n", "\r\n"] {
                let text = format!("{before}{header}\n{body}{break_before}{behind}").replace('\n', newline);
                let tree = tree(&text);
                let a = tree.documents().next().unwrap().root().unwrap().get("a").unwrap();
                let node = match a.kind() {
                    Kind::Mapping(mapping) => mapping.get("b").unwrap(),
                    Kind::Sequence(sequence) => sequence.items().next().unwrap(),
                    _ => a,
                };
                let span = node.span();
                let old = leaves(&text);
                let replaced = leaves(&format!("{}X{}", &text[..span.start], &text[span.end..]));
                assert_eq!((&*replaced[0], &replaced[1..]), ("X", &old[1..]), "{text:?} {span:?}");
                let at = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at + 1);
                let end_of_line = if text[..at].ends_with('\n') { "" } else { newline };
                let followed = format!("{}{end_of_line}{sibling}{}", &text[..at], &text[at..]);
                let followed = leaves(&followed);
                assert_eq!((&followed[0], &followed[2..]), (&old[0], &old[1..]), "{text:?} {span:?}");
            }
        }
    }
}

#[test]
fn a_value_that_is_not_there_has_its_place_behind_its_key() {
    let tree = tree("a:   # why\n\n# b\nb: !!null\nc:\n  - # x\n  -\nd:\n");
    let root = tree.root().unwrap();
    let before = |node: Node<'_>| tree.text()[..node.span().start].lines().last().unwrap().to_owned();
    assert_eq!(before(root.get("a").unwrap()), "a:");
    assert_eq!(before(root.get("b").unwrap()), "b: !!null");
    assert_eq!(before(root.get("d").unwrap()), "d:");
    let items: Vec<_> = root.get("c").unwrap().as_sequence().unwrap().items().map(before).collect();
    assert_eq!(items, ["  -", "  -"]);
}

#[test]
fn collections_end_with_their_last_child() {
    let text = "a:\n  b: 1\n  c: |\n    x\n\nd:\n- 1\n-  2 # c\n\n# end\n";
    let tree = tree(text);
    assert_eq!(source(&tree, &["a"]), "b: 1\n  c: |\n    x");
    assert_eq!(source(&tree, &["d"]), "1\n-  2");
}

#[test]
fn comments_are_kept_with_their_place() {
    let tree = tree("# top\na: 1 # right\n\n  # own\nb: '# text'\n");
    let comments: Vec<_> =
        tree.comments().iter().map(|c| (&tree.text()[c.span.clone()], c.placement)).collect();
    assert_eq!(
        comments,
        [("# top", Placement::OwnLine), ("# right", Placement::EndOfLine), ("# own", Placement::OwnLine)]
    );
}

#[test]
fn more_than_a_hundred_comment_lines_are_read() {
    let text = format!("{}a: 1\n", "# line\n".repeat(500));
    assert_eq!(tree(&text).comments().len(), 500);
}

#[test]
fn aliases_resolve_to_their_anchor() {
    let tree = tree("keys:\n  - &ana age1x\nage: [*ana]\nall: &all {a: 1}\ncopy: *all\n");
    let root = tree.root().unwrap();
    let item = root.get("age").unwrap().as_sequence().unwrap().items().next().unwrap();
    assert!(matches!(item.kind(), Kind::Alias("ana")));
    assert_eq!(item.as_str(), Some("age1x"));
    assert_eq!(root.get("copy").unwrap().get("a").unwrap().as_str(), Some("1"));
}

#[test]
fn an_unknown_alias_is_an_error() {
    assert!(matches!(error("a: *nope\n"), Error::Syntax { position: Position { line: 1, .. }, .. }));
}

#[test]
fn documents_are_counted() {
    assert_eq!(tree("").documents().len(), 0);
    assert_eq!(tree("# only a comment\n").documents().len(), 0);
    let two = tree("---\na: 1\n---\nb: 2\n");
    assert_eq!(two.documents().len(), 2);
    assert!(two.root().is_none());
    assert_eq!(two.documents().nth(1).unwrap().position(), Position { line: 3, column: 1 });
}

#[test]
fn a_duplicate_key_is_refused_with_both_places() {
    let wanted = Error::DuplicateKey {
        position: Position { line: 3, column: 3 },
        first: Position { line: 2, column: 3 },
        key: "b".to_owned(),
    };
    assert_eq!(error("a:\n  b: 1\n  'b': 2\n"), wanted);
    assert_eq!(wanted.to_string(), "3:3: the key `b` is already at line 2");
    assert_eq!(wanted.message(), "the key `b` is already at line 2");
}

#[test]
fn a_duplicate_key_is_found_in_a_long_mapping() {
    let lines: String = (0..50).map(|n| format!("k{n}: {n}\n")).collect();
    assert!(matches!(error(&format!("{lines}k3: x\n")), Error::DuplicateKey { .. }));
    assert!(matches!(error(&format!("{lines}k49: x\n")), Error::DuplicateKey { .. }));
    assert_eq!(tree(&lines).root().unwrap().as_mapping().unwrap().entries().len(), 50);
}

#[test]
fn a_key_that_is_no_text_is_refused() {
    assert!(matches!(error("? [a]\n: 1\n"), Error::KeyNotScalar { .. }));
    assert!(matches!(error("a: &x 1\n*x : 2\n"), Error::KeyNotScalar { .. }));
}

#[test]
fn deep_nesting_is_refused_without_exhausting_the_stack() {
    assert!(matches!(error(&"[".repeat(100_000)), Error::TooDeep { .. } | Error::Syntax { .. }));
    assert!(matches!(error(&"- ".repeat(200)), Error::TooDeep { .. }));
    let allowed = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(Tree::parse(allowed).is_ok());
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_place() {
    let error = Tree::from_bytes(b"a: 1\nb: \xff\n").unwrap_err();
    assert_eq!(error, Error::NotUtf8 { position: Position { line: 2, column: 4 } });
}

#[test]
fn columns_count_characters() {
    let tree = tree("é: {ü: ß}\n");
    let value = tree.root().unwrap().get("é").unwrap().get("ü").unwrap();
    assert_eq!(value.position(), Position { line: 1, column: 8 });
}

/// Texts that look like YAML often enough to get past the scanner.
fn yaml_like() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "#",
        " # c",
        "|",
        ">-",
        "|2+",
        "'",
        "\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x ",
        "*x",
        "!!str ",
        "!t ",
        "---\n",
        "...\n",
        "? ",
        "\t",
        "\r\n",
        "é",
        "~",
        "\\",
        "%YAML 1.2\n",
        "\u{feff}",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40).prop_map(|list| list.concat())
}

/// Looks at everything a tree offers.
fn visit(node: Node<'_>, depth: usize) {
    assert!(depth <= MAX_DEPTH + 1);
    let (span, full) = (node.span(), node.full_span());
    assert!(full.start <= span.start && span.start <= span.end);
    let _ = (node.source(), node.position(), node.tag(), node.anchor(), node.resolve(), node.is_null());
    match node.kind() {
        Kind::Scalar(_, Style::Literal | Style::Folded) => assert!(node.source().starts_with(['|', '>'])),
        Kind::Scalar(..) | Kind::Alias(_) => {}
        Kind::Mapping(mapping) => mapping.entries().for_each(|entry| visit(entry.value, depth + 1)),
        Kind::Sequence(sequence) => sequence.items().for_each(|item| visit(item, depth + 1)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in yaml_like()) {
        if let Ok(tree) = Tree::parse(text) {
            tree.documents().filter_map(|document| document.root()).for_each(|root| visit(root, 0));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(tree) = Tree::from_bytes(&bytes) {
            tree.documents().filter_map(|document| document.root()).for_each(|root| visit(root, 0));
        }
    }
}

#[test]
fn a_node_knows_the_alias_that_stands_for_it_or_for_what_it_is_in() {
    let tree = tree("a: &x {b: 1}\nc: *x\n&k d: 2\ne: [*k]\nf: 3\n");
    let alias = |keys: &[&str]| {
        let node = keys.iter().fold(tree.root().unwrap(), |node, key| node.get(key).unwrap());
        node.alias().map(|alias| alias.source().to_owned())
    };
    assert_eq!(alias(&["a"]).as_deref(), Some("*x"));
    assert_eq!(alias(&["a", "b"]).as_deref(), Some("*x"));
    assert_eq!(alias(&["d"]).as_deref(), Some("*k"));
    assert_eq!((alias(&["f"]), alias(&["e"])), (None, None));
}

#[test]
fn an_alias_within_what_it_stands_for_is_an_error() {
    let Error::Syntax { position, message } = error("a: &x\n  b: [*x]\n") else { panic!() };
    assert_eq!((position.line, position.column), (2, 7));
    assert!(message.contains("alias"));
}
