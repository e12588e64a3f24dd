//! Repositories as they come: named by the environment, shallow, partial, sharing objects, shared with a
//! group, with filters between worktree and objects.

use std::fs;
use std::path::Path;

use super::repo_sandbox::{Repo, Road, both, files_below, mode};

#[test]
fn git_dir_and_git_work_tree_name_the_repository() {
    both(|road| {
        let mut repo = Repo::new(road);
        let elsewhere = repo.sandbox().path().join("elsewhere.git");
        fs::rename(repo.path.join(".git"), &elsewhere).unwrap();
        repo.env.insert("GIT_DIR".to_owned(), elsewhere.into());
        repo.env.insert("GIT_WORK_TREE".to_owned(), repo.path.clone().into());
        repo.write("s.yaml", "s: 2\n");
        let mut request = repo.request("commit", &["s.yaml"]);
        request["dir"] = "/".into();
        repo.ask(&request).assert_made(road);
        assert_eq!((repo.subject(), repo.status()), ("m".to_owned(), String::new()));
        repo.assert_sound();
    });
}

#[test]
fn git_index_file_is_the_index_and_the_usual_one_stays() {
    both(|road| {
        let mut repo = Repo::new(road);
        let usual = fs::read(repo.path.join(".git/index")).unwrap();
        fs::copy(repo.path.join(".git/index"), repo.path.join(".git/other")).unwrap();
        repo.env.insert("GIT_INDEX_FILE".to_owned(), repo.path.join(".git/other").into());
        repo.write("s.yaml", "s: 2\n");
        repo.commit(&["s.yaml"], "i").assert_made(road);
        assert_eq!(repo.status(), "");
        assert_eq!(fs::read(repo.path.join(".git/index")).unwrap(), usual);
    });
}

#[test]
fn shallow_partial_and_borrowing_clones_can_be_committed_to() {
    both(|road| {
        let origin = Repo::new(Road::Gix);
        origin.write("s.yaml", "s: 2\n");
        origin.git(&["commit", "-qam", "two"]);
        origin.git(&["config", "uploadpack.allowFilter", "true"]);
        let url = format!("file://{}", origin.path.display());
        let kinds: [&[&str]; 4] =
            [&["--depth=1"], &["--filter=blob:none"], &["--filter=tree:0"], &["--shared"]];
        for kind in kinds {
            let name = format!("clone{}", kind[0]);
            let from = if kind[0] == "--shared" { origin.path.to_str().unwrap() } else { &url };
            origin.git(&[&["clone", "-q"], kind, &[from, &format!("../{name}")]].concat());
            let clone = Repo::at(origin.sandbox(), &name).on(road);
            clone.write("d/e/x", "two\n");
            clone.commit(&["d/e/x"], "c").assert_made(road);
            assert_eq!((clone.status(), clone.changed()), (String::new(), "M\td/e/x".to_owned()), "{kind:?}");
            clone.assert_sound();
        }
    });
}

#[test]
fn what_a_partial_clone_has_not_fetched_comes_when_it_is_read() {
    let origin = Repo::new(Road::Gix);
    origin.write("s.yaml", "s: 2\n");
    origin.git(&["commit", "-qam", "two"]);
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", origin.path.display());
    for filter in ["--filter=blob:none", "--filter=tree:0"] {
        let name = format!("clone{filter}");
        origin.git(&["clone", "-q", filter, &url, &format!("../{name}")]);
        let clone = Repo::at(origin.sandbox(), &name).on(Road::Git);
        let versions: Vec<_> = clone.look(&["s.yaml"])["files"][0]["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| version[2].clone())
            .collect();
        assert_eq!(versions, ["s: 2\n", "s: 1\n"], "{filter}");
    }
}

#[test]
fn line_endings_encodings_ident_and_filters_are_applied() {
    both(|road| {
        let repo = Repo::new(road);
        let attributes = "*.crlf text eol=crlf\n*.up filter=up\n*.id ident\n\
            *.u16 text working-tree-encoding=UTF-16LE\n";
        repo.write(".gitattributes", attributes);
        repo.git(&["config", "filter.up.clean", "tr a-z A-Z"]);
        repo.git(&["config", "filter.up.smudge", "tr A-Z a-z"]);
        repo.git(&["config", "filter.up.required", "true"]);
        repo.git(&["add", "-A"]);
        repo.git(&["commit", "-qm", "attributes"]);
        repo.write("f.crlf", "a\r\nb\r\n");
        repo.write("f.up", "abc\n");
        repo.write("f.id", "$Id: 123 $\n");
        repo.write("f.u16", b"h\0i\0\n\0");
        repo.commit(&["f.crlf", "f.up", "f.id", "f.u16"], "f").assert_made(road);
        let stored = |name: &str| repo.git_output(&["cat-file", "blob", &format!("HEAD:{name}")]).stdout;
        assert_eq!(stored("f.crlf"), b"a\nb\n");
        assert_eq!(stored("f.up"), b"ABC\n");
        assert_eq!(stored("f.id"), b"$Id$\n");
        assert_eq!(stored("f.u16"), b"hi\n");
        assert_eq!(repo.status(), "");
        // Reading gives the worktree's form back.
        let files = repo.look(&["f.crlf", "f.up"]);
        assert_eq!(files["files"][0]["at_head"], "a\r\nb\r\n");
        assert_eq!(files["files"][1]["at_head"], "abc\n");
        assert!(files["files"][0]["difference"].is_null() && files["files"][1]["difference"].is_null());

        repo.git(&["config", "core.autocrlf", "true"]);
        repo.write("s.yaml", "q: 1\r\n");
        repo.commit(&["s.yaml"], "ac").assert_made(road);
        assert_eq!(stored("s.yaml"), b"q: 1\n");
        assert_eq!(repo.status(), "");
        repo.assert_sound();
    });
}

/// Modes of everything in the git directory that a commit on a new branch makes, by kind.
fn modes(repo: &Repo) -> Vec<(String, u32)> {
    let git = repo.path.join(".git");
    let commit = repo.head();
    let object = Path::new("objects").join(&commit[..2]).join(&commit[2..]);
    let files = [
        Path::new("index"),
        Path::new("refs/heads/deep"),
        Path::new("refs/heads/deep/topic"),
        Path::new("logs/HEAD"),
        Path::new("logs/refs/heads/deep"),
        Path::new("logs/refs/heads/deep/topic"),
        object.parent().unwrap(),
        &object,
    ];
    let name = |file: &Path| match file.starts_with("objects") {
        true => format!("object of depth {}", file.components().count()),
        false => file.display().to_string(),
    };
    files.iter().map(|file| (name(file), mode(&git.join(file)))).collect()
}

#[test]
fn core_shared_repository_gives_the_modes_that_git_gives() {
    for sharing in ["false", "group", "all", "0640", "0660"] {
        let make = |road: Road| {
            let repo = Repo::empty(&super::repo_sandbox::Sandbox::new(), "repo");
            repo.git(&["config", "core.sharedRepository", sharing]);
            repo.git(&["config", "core.logAllRefUpdates", "true"]);
            repo.fill();
            repo.git(&["checkout", "-q", "--orphan", "deep/topic"]);
            repo.on(road)
        };
        let (ours, gits) = (make(Road::Gix), make(Road::Gix));
        for repo in [&ours, &gits] {
            // A first object directory of its own for the commit is likely, not certain: make it so.
            repo.git(&["pack-refs", "--all"]);
            repo.git(&["repack", "-adq"]);
            repo.git(&["prune-packed"]);
            repo.write("s.yaml", "s: shared\n");
        }
        let road = ours.commit(&["s.yaml"], "p");
        road.assert_made(Road::Gix);
        gits.git(&["commit", "-q", "--only", "-m", "p", "--", "s.yaml"]);
        assert_eq!(modes(&ours), modes(&gits), "core.sharedRepository={sharing}");
        let objects = files_below(&ours.path.join(".git/objects"));
        let loose = objects.iter().filter(|file| !file.starts_with(ours.path.join(".git/objects/pack")));
        let expected = mode(&gits.path.join(".git/objects").join(&gits.head()[..2]).join(&gits.head()[2..]));
        for object in loose.filter(|file| file.parent().unwrap().file_name().unwrap().len() == 2) {
            assert_eq!(mode(object), expected, "{}", object.display());
        }
        ours.assert_sound();
    }
}
