//! JSON, dotenv, INI and binary files against the stock binary, both ways.

use provision::sops::{Alone, Difference, Draft, Encrypted, Format, Path, SealError};

use super::workshop::{Workshop, diff, now, path, secret};

/// A format with a document that shows what is special about it.
struct Case {
    format: Format,
    ending: &'static str,
    text: &'static str,
    /// Some leaves, and what stock sops reads there.
    leaves: &'static [(&'static str, &'static str)],
    /// A leaf to set, one to insert, one in a new place to insert, one to remove.
    set: &'static str,
    insert: &'static [&'static str],
    remove: Option<&'static str>,
}

const JSON: Case = Case {
    format: Format::Json,
    ending: "json",
    text: "{\n  \"a\": \"x<y>&\\u003c\\/\\ud83d\\ude00\\n\",\n  \"n\": {\"b\": [1.50, true, null, -0, 1e3, {}], \"c\": \"\"},\n  \"big\": 12345678901,\n  \"clear_unencrypted\": [\"&<\", 2.50, false, 9007199254740992],\n  \"l\": [],\n  \"token\": \"old\"\n}\n",
    leaves: &[
        (r#"["a"]"#, "x<y>&</😀\n"),
        (r#"["n"]["b"][0]"#, "1.5"),
        (r#"["n"]["b"][1]"#, "True"),
        (r#"["n"]["b"][4]"#, "1000"),
        (r#"["n"]["c"]"#, ""),
        (r#"["big"]"#, "12345678901"),
        (r#"["clear_unencrypted"][0]"#, "&<"),
        (r#"["clear_unencrypted"][3]"#, "9007199254740992"),
    ],
    set: r#"["token"]"#,
    insert: &[r#"["n"]["new"]"#, r#"["o"]["p"]["q: ü"]"#, r#"["m_unencrypted"]"#],
    remove: Some(r#"["a"]"#),
};

const DOTENV: Case = Case {
    format: Format::Dotenv,
    ending: "env",
    text: "# Credentials of qa\nHOST=gitlab.com\n\nexport D=x y = z \nQ=\"quoted\"  # not a comment\nLINES=one\\ntwo\\\\n\nEMPTY=\n#\n#second\nP_unencrypted='p'\n lead=x\nTOKEN=old\n",
    leaves: &[
        (r#"["HOST"]"#, "gitlab.com"),
        (r#"["export D"]"#, "x y = z "),
        (r#"["Q"]"#, "\"quoted\"  # not a comment"),
        (r#"["LINES"]"#, "one\ntwo\\\n"),
        (r#"["EMPTY"]"#, ""),
        (r#"["P_unencrypted"]"#, "'p'"),
        (r#"[" lead"]"#, "x"),
    ],
    set: r#"["TOKEN"]"#,
    insert: &[r#"["NEW"]"#, r#"["NEW_unencrypted"]"#],
    remove: Some(r#"["HOST"]"#),
};

const INI: Case = Case {
    format: Format::Ini,
    ending: "ini",
    text: "; Credentials\nhost = gitlab.com\n\n# two\n; lines\n[s one]\na=\"x\"\nb : `t#t`\nc_unencrypted = \"\"\"one\ntwo\"\"\"\nd_unencrypted = 'p' ; clear?\n\n[empty]\n\n; note\n[last_unencrypted]\nq=1\n[tokens]\ntoken = old\nnothing =\n",
    leaves: &[
        (r#"["DEFAULT"]["host"]"#, "gitlab.com"),
        (r#"["s one"]["a"]"#, "x"),
        (r#"["s one"]["b"]"#, "t#t"),
        (r#"["s one"]["c_unencrypted"]"#, "one\ntwo"),
        (r#"["s one"]["d_unencrypted"]"#, "p"),
        (r#"["last_unencrypted"]["q"]"#, "1"),
        (r#"["tokens"]["nothing"]"#, ""),
    ],
    set: r#"["tokens"]["token"]"#,
    insert: &[
        r#"["s one"]["new"]"#,
        r#"["empty"]["k"]"#,
        r#"["more"]["k"]"#,
        r#"["DEFAULT"]["z_unencrypted"]"#,
    ],
    remove: Some(r#"["DEFAULT"]["host"]"#),
};

const BINARY: Case = Case {
    format: Format::Binary,
    ending: "pem",
    text: "-----BEGIN\r\n\tkey\0 = {}\n\n",
    leaves: &[(r#"["data"]"#, "-----BEGIN\r\n\tkey\0 = {}\n\n")],
    set: r#"["data"]"#,
    insert: &[],
    remove: None,
};

const CASES: [Case; 4] = [JSON, DOTENV, INI, BINARY];

impl Case {
    /// The text as we can seal it: comments at the end of a line are refused where they would be encrypted.
    fn draft(&self) -> String {
        self.text.replace(" ; clear?", "")
    }

    fn name(&self, stem: &str) -> String {
        format!("{stem}.{}", self.ending)
    }

    /// The file as stock sops writes it.
    fn theirs(&self, shop: &Workshop) -> String {
        shop.write(&self.name("plain"), self.text);
        shop.sops(&["encrypt", &self.name("plain")]).stdout
    }

    /// What stock sops decrypts it to, without a word of warning.
    fn decrypted(&self, shop: &Workshop, text: &str) -> String {
        shop.write(&self.name("file"), text);
        let decrypted = shop.sops(&["decrypt", &self.name("file")]);
        assert_eq!(decrypted.stderr, "", "{text}");
        decrypted.stdout
    }

    fn extracted(&self, shop: &Workshop, text: &str, at: &str) -> String {
        shop.write(&self.name("file"), text);
        match self.format {
            Format::Binary => shop.sops(&["decrypt", &self.name("file")]).stdout,
            _ => shop.sops(&["decrypt", "--extract", at, &self.name("file")]).stdout,
        }
    }

    fn assert_leaves(&self, shop: &Workshop, text: &str) {
        let opened = shop.open_as(self.format, text);
        assert_eq!(opened.file().format(), self.format);
        for (at, wanted) in self.leaves {
            let value = opened.get(&path(at)).unwrap().unwrap_or_else(|| panic!("{at} in {text}"));
            assert_eq!(value.expose(), *wanted, "{at}");
        }
    }
}

#[test]
fn what_stock_sops_writes_opens_to_its_values() {
    let shop = Workshop::new();
    for lines in ["", "mac_only_encrypted: true"] {
        shop.rule(lines);
        for case in CASES {
            case.assert_leaves(&shop, &case.theirs(&shop));
        }
    }
}

#[test]
fn what_we_write_is_read_and_edited_by_stock_sops() {
    let shop = Workshop::new();
    for lines in ["", "mac_only_encrypted: true"] {
        let rule = shop.rule(lines);
        for case in CASES {
            let ours = Workshop::seal_as(case.format, case.draft(), &rule);
            assert!(!ours.contains("gitlab.com") && !ours.contains("Credentials"), "{ours}");
            case.assert_leaves(&shop, &ours);
            let theirs = case.decrypted(&shop, &case.theirs(&shop));
            let decrypted = case.decrypted(&shop, &ours);
            assert_eq!(decrypted.replace("; clear?\n", ""), theirs.replace("; clear?\n", ""), "{ours}");
            assert_eq!(
                Encrypted::parse(case.format, ours.as_bytes()).unwrap().differences(&rule),
                Vec::<Difference>::new()
            );
            let file = case.name("file");
            shop.sops(&["rotate", "-i", &file]);
            case.assert_leaves(&shop, &shop.read(&file));
            shop.write(&file, &ours);
            if case.format != Format::Binary {
                shop.sops(&["set", &file, case.set, r#""by sops""#]);
                let opened = shop.open_as(case.format, &shop.read(&file));
                assert_eq!(opened.get(&path(case.set)).unwrap().unwrap().expose(), "by sops");
            }
            // One recipient less in the policy.
            let policy = shop.read(".sops.yaml");
            shop.write(".sops.yaml", &policy.replace(&format!(",{}", shop.others[1]), ""));
            shop.sops(&["updatekeys", "-y", &file]);
            shop.write(".sops.yaml", &policy);
            let updated = shop.open_as(case.format, &shop.read(&file));
            assert_eq!(updated.file().differences(&rule), [Difference::Missing(shop.others[1].clone())]);
        }
    }
}

#[test]
fn no_change_gives_the_very_bytes() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for case in CASES {
        for before in [case.theirs(&shop), Workshop::seal_as(case.format, case.draft(), &rule)] {
            assert_eq!(shop.edit_as(case.format, &before, |_| ()), before);
            let same = shop.edit_as(case.format, &before, |opened| {
                let value = opened.get(&path(case.set)).unwrap().unwrap();
                opened.set(&path(case.set), &value).unwrap();
            });
            assert_eq!(same, before);
        }
    }
}

#[test]
fn one_set_changes_the_line_of_the_leaf_the_time_and_the_mac() {
    let shop = Workshop::new();
    shop.rule("");
    for case in CASES {
        let before = case.theirs(&shop);
        let value = "new \"value\"\\with é\nlines = ; #";
        let after =
            shop.edit_as(case.format, &before, |opened| opened.set(&path(case.set), &secret(value)).unwrap());
        let changed = diff(&before, &after);
        assert_eq!(changed.len(), 6, "{changed:#?}");
        for name in ["lastmodified", "mac", path(case.set).keys().last().unwrap()] {
            let is_of = |line: &&String| {
                let line = line[1..].trim_start().trim_start_matches("sops_").trim_start_matches('"');
                line.starts_with(name)
            };
            assert_eq!(changed.iter().filter(is_of).count(), 2, "{name} {changed:#?}");
        }
        assert_eq!(case.extracted(&shop, &after, case.set), value);
    }
}

#[test]
fn inserted_and_removed_leaves_are_read_by_stock_sops() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for case in CASES.iter().filter(|case| case.format != Format::Binary) {
        for before in [case.theirs(&shop), Workshop::seal_as(case.format, case.draft(), &rule)] {
            let after = shop.edit_as(case.format, &before, |opened| {
                for at in case.insert {
                    opened.set(&path(at), &secret("a value")).unwrap();
                }
            });
            let lines = diff(&before, &after);
            let removed = lines.iter().filter(|line| line.starts_with('-'));
            assert!(removed.clone().count() <= 6, "{lines:#?}");
            for at in case.insert {
                assert_eq!(case.extracted(&shop, &after, at), "a value", "{at}\n{after}");
            }
            case.assert_leaves(&shop, &after);
            let at = path(case.remove.unwrap());
            let less = shop.edit_as(case.format, &after, |opened| opened.remove(&at).unwrap());
            let decrypted = case.decrypted(&shop, &less);
            assert!(!decrypted.contains(case.leaves[0].1.trim()), "{decrypted}");
            assert_eq!(diff(&after, &less).iter().filter(|line| line.starts_with('+')).count(), 1);
            assert!(shop.open_as(case.format, &less).get(&at).unwrap().is_none());
        }
    }
}

#[test]
fn bytes_that_are_no_text_go_through_a_binary_file() {
    let shop = Workshop::new();
    let rule = shop.rule("encrypted_regex: ^nothing$");
    let bytes = [0, 0xff, 0xfe, b'\n', 0x80, b'"'];
    let ours = Workshop::seal_as(Format::Binary, bytes, &rule);
    assert!(!ours.contains("regex") && !ours.contains("suffix"), "{ours}");
    shop.write("file.bin", &ours);
    assert_eq!(shop.run(&["decrypt", "file.bin"]).stdout, bytes);
    let data = path(r#"["data"]"#);
    let opened = shop.open_as(Format::Binary, &ours);
    assert_eq!(opened.get_bytes(&data).unwrap().unwrap().as_slice(), bytes);
    assert!(opened.get(&data).is_err());
    let other = [0xc3, 0x28, 0];
    let after = shop.edit_as(Format::Binary, &ours, |opened| opened.set_bytes(&data, &other).unwrap());
    shop.write("file.bin", &after);
    assert_eq!(shop.run(&["decrypt", "file.bin"]).stdout, other);
}

#[test]
fn the_layout_of_json_is_kept() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let drafts = [
        "{\"a\":\"x\",\"n\":{\"b\":\"y\"},\"e\":{}}",
        "{\"a\": \"x\", \"n\": {\"b\": \"y\"}, \"e\": {}}\n",
        "{\n  \"a\": \"x\",\n  \"n\": {\n    \"b\": \"y\"\n  },\n  \"e\": {}\n}\n",
        "{\n\t\"a\" : \"x\",\n\t\"n\" : {\n\t\t\"b\" : \"y\"\n\t},\n\t\"e\" : {}\n}",
        "{\r\n  \"a\": \"x\",\r\n  \"n\": {\r\n    \"b\": \"y\"\r\n  },\r\n  \"e\": {}\r\n}\r\n",
    ];
    let shape = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let (lines, tabs) = (text.lines().count() > 1, text.contains('\t'));
        assert_eq!(
            text.contains("\r\n"),
            text.matches('\n').count() == text.matches("\r\n").count() && lines
        );
        (value, lines, tabs)
    };
    for draft in drafts {
        let ours = Workshop::seal_as(Format::Json, draft, &rule);
        let (_, lines, tabs) = shape(&ours);
        assert_eq!((lines, tabs), (draft.trim().contains('\n'), draft.contains('\t')), "{ours}");
        let after = shop.edit_as(Format::Json, &ours, |opened| {
            opened.set(&path(r#"["n"]["new"]["deep"]"#), &secret("1")).unwrap();
            opened.set(&path(r#"["e"]["new"]"#), &secret("2")).unwrap();
            opened.set(&path(r#"["top"]"#), &secret("3")).unwrap();
        });
        shop.write("file.json", &after);
        let decrypted = shop.sops(&["decrypt", "file.json"]).stdout;
        let wanted = serde_json::json!({
            "a": "x", "n": {"b": "y", "new": {"deep": "1"}}, "e": {"new": "2"}, "top": "3"
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&decrypted).unwrap(), wanted);
        // What stock sops would write with the same keys has as many lines, where there are lines.
        if lines {
            assert_eq!(after.lines().count(), shop.read("file.json").lines().count());
            let pretty = serde_json::to_string_pretty(&shape(&after).0).unwrap();
            assert_eq!(after.lines().count(), pretty.lines().count(), "{after}");
        }
    }
}

#[test]
fn integers_that_versions_of_sops_read_differently() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    // Encrypted they are exact, for us and for stock sops.
    let ours = Workshop::seal_as(Format::Json, "{\"n\": 9007199254740993}", &rule);
    shop.write("file.json", &ours);
    assert!(shop.sops(&["decrypt", "file.json"]).stdout.contains("9007199254740993"));
    // In the clear they would have one MAC here and another there.
    let draft = Draft::parse(Format::Json, "{\"s\": \"x\",\n \"n_unencrypted\": 9007199254740993}").unwrap();
    let error = draft.seal(&rule, &Alone, now(), &[]).unwrap_err();
    assert!(matches!(error, SealError::Value(_)) && error.to_string().starts_with("2:19: "), "{error}");
    // A file that stock sops 3.11 wrote opens all the same.
    shop.write("plain.json", "{\"s\": \"x\", \"n_unencrypted\": 9007199254740993}");
    let theirs = shop.sops(&["encrypt", "plain.json"]).stdout.replace("9007199254740992", "9007199254740993");
    shop.write("file.json", &theirs);
    shop.sops(&["decrypt", "file.json"]);
    let after =
        shop.edit_as(Format::Json, &theirs, |opened| opened.set(&path(r#"["s"]"#), &secret("y")).unwrap());
    shop.write("file.json", &after);
    shop.sops(&["decrypt", "file.json"]);
}

#[test]
fn comments_are_encrypted_where_the_rule_selects_what_they_belong_to() {
    let shop = Workshop::new();
    let rule = shop.rule("encrypted_regex: ^secret$");
    let ini = "; word1\nk = 1\n; word2\n[secret]\n; word3\n\n# word4\nt = 1\n; word5\n[other]\nx = 2\n";
    let ours = Workshop::seal_as(Format::Ini, ini, &rule);
    shop.write("file.ini", &ours);
    for (word, is_clear) in
        [("word1", true), ("word2", false), ("word3", false), ("word4", false), ("word5", true)]
    {
        assert_eq!(ours.contains(word), is_clear, "{word} {ours}");
        assert!(shop.sops(&["decrypt", "file.ini"]).stdout.contains(word));
    }
    let whole = shop.rule("");
    for draft in ["a = 1 ; inline\n", "a = 1\n; at the end\n"] {
        let error = Draft::parse(Format::Ini, draft).unwrap().seal(&whole, &Alone, now(), &[]).unwrap_err();
        assert!(matches!(error, SealError::Comment { .. }), "{draft}");
    }
}

/// Who opens it: stock sops, and we.
fn verdicts(shop: &Workshop, case: &Case, text: &str) -> (bool, bool) {
    shop.write(&case.name("file"), text);
    let theirs = shop.run(&["decrypt", &case.name("file")]).status.success();
    let ours = Encrypted::parse(case.format, text.as_bytes())
        .is_ok_and(|file| file.open(&shop.identities()).is_ok());
    (theirs, ours)
}

#[test]
fn what_stock_sops_detects_we_detect() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    for case in CASES {
        let good = Workshop::seal_as(case.format, case.draft(), &rule);
        assert_eq!(verdicts(&shop, &case, &good), (true, true));
        let stored = Encrypted::parse(case.format, good.as_bytes()).unwrap();
        let stored = stored.leaf(&path(case.set)).unwrap().to_owned();
        let mac = good.lines().find(|line| line.contains("mac") && line.contains("ENC[")).unwrap();
        let mac = &mac[mac.find("ENC[").unwrap()..=mac.rfind(']').unwrap()];
        let mut rows = vec![
            ("time", good.replace("08:00:00Z", "08:00:01Z")),
            ("no time", good.replace("2026-11-21T08:00:00Z", "yesterday")),
            ("MAC", good.replace(mac, &stored)),
            ("no MAC", good.replace(mac, "")),
            ("value", good.replace(&stored, mac)),
            ("type", good.replacen("type:str]", "type:int]", 1)),
            ("in the clear", good.replace(&stored, "hello")),
            ("truncated", good.replace(&stored, &stored[..stored.len() - 30])),
            ("no version", good.replace("3.11.0", "")),
        ];
        let format_rows: &[(&str, &str, &str)] = match case.format {
            Format::Json => &[
                ("clear", "\"&<\"", "\"&>\""),
                ("clear number", "2.50", "2.51"),
                ("array", "{\n  \"a\"", "[{\n  \"a\""),
            ],
            Format::Dotenv => &[
                ("clear", "'p'", "'q'"),
                ("new", "P_unencrypted", "O_unencrypted=1\nP_unencrypted"),
                ("renamed", "\nTOKEN=", "\nTOKEM="),
                ("no =", "\nTOKEN=", "\nTOKEN\nTOKEN="),
            ],
            Format::Ini => &[
                ("clear", "'p'", "'q'"),
                ("renamed", "[tokens]", "[tokenz]"),
                ("no section end", "[tokens]", "[tokens"),
                ("no =", "\n[tokens]", "\nhello\n[tokens]"),
            ],
            _ => &[("renamed", "\"data\"", "\"date\""), ("nothing", "{", "")],
        };
        rows.extend(format_rows.iter().map(|(what, from, to)| (*what, good.replacen(from, to, 1))));
        for (what, text) in rows {
            assert_ne!(text, good, "{what}");
            assert_eq!(verdicts(&shop, &case, &text), (false, false), "{what} {}", case.format);
        }
    }
}

#[test]
fn what_no_document_can_be_is_refused_with_its_place() {
    let deep = format!("{{\"a\": {}", "[".repeat(200));
    let rows: &[(Format, &[u8], &str)] = &[
        (Format::Json, b"[1]", "must be a mapping"),
        (Format::Json, b"{\"a\": 1} x", "1:10: something stands behind"),
        (Format::Json, b"{\"a\": 1, \"a\": 2}", "1:10: the key `a` is already"),
        (Format::Json, b"{\"sops\": 1}", "1:2: the key `sops`"),
        (Format::Json, b"{1: 2}", "1:2: a key in double quotes"),
        (Format::Json, b"{\"a\": 1e400}", "1:7: [\"a\"] is a number that does not fit"),
        (Format::Json, b"{\"a\": \"\xff\"}", "1:8: not UTF-8"),
        (Format::Json, deep.as_bytes(), "1:106: nested deeper"),
        (Format::Json, b"\xef\xbb\xbf{\"a\": 1}", "1:1: a byte order mark"),
        (
            Format::Json,
            b"{\"a\": \"ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\"}",
            "1:7: this is encrypted",
        ),
        (Format::Dotenv, b"A=1\nB\n", "2:1: neither a comment"),
        (Format::Dotenv, b"A=1\nA=2\n", "2:1: the key `A` is already at line 1"),
        (Format::Dotenv, b"A=1\nsops_x=2\n", "2:1: the key `sops`"),
        (Format::Dotenv, b"sops=2\n", "1:1: the key `sops`"),
        (Format::Dotenv, b"A=\xff\n", "1:3: not UTF-8"),
        (Format::Dotenv, b"#ENC[AES256_GCM,data:AA==]\nA=1", "1:1: this is encrypted"),
        (Format::Ini, b"a = 1\na = 2\n", "2:1: the key `a` is already at line 1"),
        (Format::Ini, b"[a]\n[b]\n[a]\n", "3:2: the section `a` is already at line 1"),
        (Format::Ini, b"k=1\n[DEFAULT]\n", "2:2: the section `DEFAULT` is already at line 1"),
        (Format::Ini, b"[a\n", "1:1: the section has no `]`"),
        (Format::Ini, b"[]\n", "1:1: the section has no name"),
        (Format::Ini, b"[a]\n- = 1\n", "2:1: the key `-`"),
        (Format::Ini, b"[a]\nk = 1 \\\n 2\n", "2:5: a value that goes on"),
        (Format::Ini, b"[a]\nk = `1\n 2\n", "2:5: the value has no closing quote"),
        (Format::Ini, b"[a]\n\"k = 1\n", "2:1: the key has no closing quote"),
        (Format::Ini, b"[a]\nk\n", "2:1: neither a section"),
        (Format::Ini, b"[sops]\nk=1\n", "1:1: the key `sops`"),
        (Format::Ini, b"[a]\nk=\xff", "2:3: not UTF-8"),
    ];
    for (format, text, wanted) in rows {
        let error = Draft::parse(*format, text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{}: {error}", String::from_utf8_lossy(text));
        assert!(Encrypted::parse(*format, text).is_err());
    }
}

#[test]
fn fields_and_stanzas_that_we_do_not_know_survive_an_edit() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let rows = [
        (
            DOTENV,
            "sops_mac=",
            "sops_pgp__list_0__map_fp=ABCD\nsops_pgp__list_0__map_enc=x\\ny\nsops_x_note=keep me\nsops_mac=",
        ),
        (INI, "mac = ", "pgp__list_0__map_fp  =  ABCD\npgp__list_0__map_enc=x\nx_note : keep me\nmac = "),
        (JSON, "\"mac\": ", "\"pgp\": [{\"fp\" : \"ABCD\"}], \"x_note\":{\"keep\":[1.50]},\n    \"mac\": "),
    ];
    for (case, at, new) in rows {
        let before = Workshop::seal_as(case.format, case.draft(), &rule).replacen(at, new, 1);
        let after =
            shop.edit_as(case.format, &before, |opened| opened.set(&path(case.set), &secret("y")).unwrap());
        assert!(after.contains(new.rsplit_once(at).unwrap().0), "{after}");
        assert_eq!(diff(&before, &after).len(), 4, "same second");
        let file = Encrypted::parse(case.format, after.as_bytes()).unwrap();
        let readers: Vec<String> = file.other_readers().iter().map(ToString::to_string).collect();
        assert_eq!(readers, ["pgp ABCD"]);
    }
}

#[test]
fn places_that_a_format_does_not_have_are_refused() {
    let shop = Workshop::new();
    let rule = shop.rule("");
    let rows: &[(Case, &[&str])] = &[
        (DOTENV, &[r#"["a"]["b"]"#, r#"["a=b"]"#, r##"["#a"]"##, r#"["sops_a"]"#, r#"["a\nb"]"#]),
        (INI, &[r#"["a"]"#, r#"["a"]["b"]["c"]"#, r#"["a"]["b=c"]"#, r#"["a]"]["b"]"#, r#"["a"]["-"]"#]),
        (BINARY, &[r#"["other"]"#]),
    ];
    for (case, paths) in rows {
        let mut opened = shop.open_as(case.format, &Workshop::seal_as(case.format, case.draft(), &rule));
        for at in *paths {
            assert!(opened.set(&path(at), &secret("x")).is_err(), "{at}");
        }
    }
    let mut opened = shop.open_as(Format::Dotenv, &Workshop::seal_as(Format::Dotenv, DOTENV.text, &rule));
    let at: Path = path(r#"["P_unencrypted"]"#);
    assert!(opened.set(&at, &secret("back\\n")).is_err());
    assert!(opened.set(&at, &secret("line\nbreak")).is_ok());
}
