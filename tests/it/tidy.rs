//! Rules about the source itself, as tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules that decide: they may not know the shell or the face.
const CORE: [&str; 17] = [
    "checks",
    "cores",
    "environ",
    "error",
    "hint",
    "instance",
    "journal",
    "lock",
    "plan",
    "problem",
    "profile",
    "readership",
    "secret",
    "sops",
    "template",
    "token",
    "yaml",
];
const SHELL_AND_FACE: [&str; 9] =
    ["apply", "cli", "commands", "deliver", "explain", "gitlab", "observe", "repo", "ui"];

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
    for path in sources("src") {
        let shown = relative(&path);
        let module = shown.trim_start_matches("src/").split(['/', '.']).next().unwrap().to_owned();
        if !CORE.contains(&module.as_str()) || shown.contains("tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for other in SHELL_AND_FACE {
            assert!(!code.contains(&format!("crate::{other}")), "{shown} uses {other}");
        }
        for world in ["crate::world::", "std::fs", "std::process", "std::env", "reqwest", "gix", "tokio"] {
            let used = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.contains(world));
            assert!(!used, "{shown} uses {world}");
        }
    }
}

#[test]
fn the_sops_engine_knows_nothing_of_gitlab() {
    for path in sources("src/sops").into_iter().filter(|path| !relative(path).contains("tests")) {
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let about =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).any(|l| l.contains("gitlab"));
        assert!(!about, "{}", relative(&path));
    }
}

#[test]
fn every_module_of_the_crate_is_in_the_code_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(map.contains(&format!("`{name}")), "ARCHITECTURE.md does not say what {name} is");
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
        .filter(|name| name.matches('_').count() >= 3 && !name.contains(['/', ' ', '(']))
    {
        named += 1;
        assert!(code.contains(&format!("fn {name}(")), "no test is called {name}");
    }
    for name in invariants.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".trycmd")) {
        named += 1;
        assert!(cases.iter().any(|case| case == name), "no case is called {name}");
    }
    assert!(named >= 10, "the invariants name no tests");
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
