//! Rules about the source itself, as tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate as src/lib.rs lists them: those that decide, those that do things, and those that a person sees.
fn modules() -> [Vec<String>; 3] {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    ["core", "shell", "face"].map(|part| {
        let (_, list) = text.split_once(&format!("// -- {part} --")).unwrap();
        let list = list.split("// --").next().unwrap();
        let names = list.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
        names.map(|name| name.trim_end_matches(';').to_owned()).collect()
    })
}

/// The module of the crate that a file of src belongs to.
fn module_of(shown: &str) -> &str {
    shown.trim_start_matches("src/").split(['/', '.']).next().unwrap()
}

/// What is compiled without the tests, and says something: a file up to its inline tests, without comments. `None`: all of it
/// is tests.
fn code(path: &Path) -> Option<String> {
    let shown = relative(path);
    if shown.ends_with("tests.rs") || shown.contains("/tests/") {
        return None;
    }
    let text = fs::read_to_string(path).unwrap();
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_inline = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(is_inline) {
            break;
        }
        if !line.trim_start().starts_with("//") {
            code += line;
            code.push('\n');
        }
    }
    Some(code)
}

/// The modules of the crate that a file names: after `crate::`, in braces too, and after as many `super::` as lead there.
fn named_modules(shown: &str, code: &str) -> BTreeSet<String> {
    let depth = shown.matches('/').count() - usize::from(shown.ends_with("/mod.rs"));
    let up = "super::".repeat(depth);
    let mut named = BTreeSet::new();
    for root in ["crate::", &up] {
        for (_, rest) in code.match_indices(root).map(|(at, _)| code.split_at(at + root.len())) {
            match rest.strip_prefix('{') {
                Some(list) => named.extend(listed(list)),
                None => named.extend([first_name(rest)]),
            }
        }
    }
    named
}

/// The first names of what stands in a list, up to the brace that ends it.
fn listed(list: &str) -> Vec<String> {
    let (mut depth, mut names) = (0, vec![first_name(list.trim_start())]);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first_name(list[at + 1..].trim_start())),
            _ => {}
        }
    }
    names
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn no_file_is_longer_than_a_person_reads_in_one_go() {
    let long: Vec<String> = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .filter(|path| fs::read_to_string(path).unwrap().lines().count() > 500)
        .map(|path| relative(&path))
        .collect();
    assert!(long.is_empty(), "split: {long:?}");
}

#[test]
fn folders_are_two_levels_deep_at_most_and_named_for_what_is_in_them() {
    for path in sources("src") {
        let shown = relative(&path);
        assert!(shown.matches('/').count() <= 3, "too deep: {shown}");
        for part in ["util", "utils", "common", "helpers", "misc"] {
            assert!(!shown.contains(&format!("/{part}")), "says nothing: {shown}");
        }
    }
}

#[test]
fn the_core_knows_neither_shell_nor_face() {
    let [core, shell, face] = modules();
    let mut looked_at = 0;
    for path in sources("src") {
        let shown = relative(&path);
        let Some(code) = code(&path).filter(|_| core.iter().any(|module| module == module_of(&shown))) else {
            continue;
        };
        looked_at += 1;
        let named = named_modules(&shown, &code);
        let foreign: Vec<&String> =
            shell.iter().chain(&face).filter(|other| named.contains(*other)).collect();
        assert!(foreign.is_empty(), "{shown} uses {foreign:?}");
        for world in ["std::fs", "std::process", "std::env", "reqwest", "gix", "tokio"] {
            assert!(!code.contains(world), "{shown} uses {world}");
        }
    }
    assert!(looked_at > core.len(), "{looked_at}");
}

#[test]
fn a_module_is_found_wherever_it_is_named() {
    let code = "use crate::{\n    plan::{self, Plan},\n    ui::Ui,\n};\nuse super::super::repo;\nfn f() { crate::cli::x() }\n";
    let named = named_modules("src/checks/one.rs", code);
    for module in ["plan", "ui", "repo", "cli"] {
        assert!(named.contains(module), "{module}: {named:?}");
    }
    assert!(!named.contains("self") && !named.contains("Plan"), "{named:?}");
}

#[test]
fn the_sops_engine_knows_nothing_of_gitlab() {
    for path in sources("src/sops") {
        let knows = code(&path).is_some_and(|code| code.to_lowercase().contains("gitlab"));
        assert!(!knows, "{}", relative(&path));
    }
}

#[test]
fn every_module_of_the_crate_is_in_one_part_of_it_and_of_the_code_map() {
    let parts = modules();
    let mut listed: Vec<String> = parts.concat();
    listed.sort();
    let mut there: Vec<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "main" && name != "lib")
        .collect();
    there.sort();
    there.dedup();
    assert_eq!(listed, there, "what src/lib.rs lists, and what src has");

    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (heading, part) in ["\nCore: ", "\nShell: ", "\nFace: "].into_iter().zip(parts) {
        let (_, table) = map.split_once(heading).unwrap();
        let rows =
            table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
        let mapped: BTreeSet<&str> = names.filter(|name| *name != "main" && *name != "lib").collect();
        assert_eq!(mapped, part.iter().map(String::as_str).collect(), "{heading}");
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, invariants) = map.split_once("## Invariants").unwrap();
    let code: String =
        sources("src").into_iter().chain(sources("tests")).map(|p| fs::read_to_string(p).unwrap()).collect();
    let cases: Vec<String> = fs::read_dir(root().join("tests/cmd"))
        .map(|entries| {
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    let mut named = 0;
    for name in invariants
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    {
        named += 1;
        assert!(code.contains(&format!("fn {name}(")), "no test is called {name}");
    }
    for name in invariants.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".trycmd")) {
        named += 1;
        assert!(cases.iter().any(|case| case == name), "no case is called {name}");
    }
    let paths = invariants.split(|c: char| c.is_whitespace() || "`;,()[]:".contains(c));
    for path in paths.filter(|word| word.starts_with("tests/")).map(|path| path.trim_end_matches('.')) {
        named += 1;
        let (folder, start) = match path.split_once('*') {
            Some((before, _)) => before.rsplit_once('/').unwrap(),
            None => (path, ""),
        };
        let place = root().join(folder);
        let begins = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with(start);
        let is_there = if start.is_empty() {
            place.exists()
        } else {
            fs::read_dir(place).unwrap().any(|entry| begins(entry.unwrap()))
        };
        assert!(is_there, "there is no {path}");
    }
    assert!(named >= 60, "the invariants name {named} tests and files");
}

#[test]
fn nothing_is_left_undone() {
    for path in sources("src") {
        let text = fs::read_to_string(&path).unwrap();
        for mark in ["todo!", "unimplemented!", "FIXME", "XXX", "TODO"] {
            assert!(!text.contains(mark), "{mark} in {}", relative(&path));
        }
    }
}
