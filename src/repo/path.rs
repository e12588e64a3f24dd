//! Names of files inside the repository, and what they mean on disk.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::error::RepoError;

/// How many symlinks one name may pass through; Linux has the same limit.
const MAX_LINKS: usize = 40;

/// git's own protection of `.git` in all its spellings. Names that only Windows cannot have are for Windows
/// to refuse.
const PROTECTED: gix::validate::path::component::Options = gix::validate::path::component::Options {
    protect_windows: cfg!(windows),
    protect_hfs: true,
    protect_ntfs: true,
};

/// A file inside the worktree: relative to its root, `/` between components, never empty, never inside
/// `.git`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

/// Why a name cannot be one of a file in the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{path}\" is not a path inside the repository: {why}")]
pub struct BadPath {
    /// The name as it was given.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl RelPath {
    /// `path` with `.` components and doubled slashes taken out.
    ///
    /// # Errors
    /// When it is empty, absolute, climbs with `..`, has control characters, or a component that git
    /// refuses in a tree (`.git` in any spelling of the file systems git protects).
    pub fn new(path: &str) -> Result<Self, BadPath> {
        let bad = |why| BadPath { path: path.escape_debug().to_string(), why };
        if path.starts_with('/') {
            return Err(bad("it is absolute"));
        }
        if path.chars().any(char::is_control) {
            return Err(bad("it has control characters"));
        }
        let components: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if components.is_empty() {
            return Err(bad("it names no file"));
        }
        for component in &components {
            if *component == ".." {
                return Err(bad("it has a '..' component"));
            }
            gix::validate::path::component((*component).into(), None, PROTECTED)
                .map_err(|_| bad("git keeps no such name in a tree"))?;
        }
        Ok(Self(components.join("/")))
    }

    /// The name with `/` between components.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it is below `root`.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// The directories above it inside the repository, outermost first: `a`, `a/b` for `a/b/c`.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for RelPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for RelPath {
    type Err = BadPath;

    fn from_str(path: &str) -> Result<Self, BadPath> {
        Self::new(path)
    }
}

/// The file that `path` means: every symlink on the way followed, as long as it ends inside `root`. What does
/// not exist yet is taken as written.
///
/// # Errors
/// [`RepoError::LeavesRepository`] when a symlink leads out, [`RepoError::BadPath`] when it leads into
/// `.git`.
pub(super) fn resolve(root: &Path, path: &RelPath) -> Result<RelPath, RepoError> {
    let real = follow(root, Path::new(path.as_str()))
        .map_err(|why| RepoError::LeavesRepository { path: path.clone(), target: why.into() })?;
    let inside = real
        .strip_prefix(root)
        .map_err(|_| RepoError::LeavesRepository { path: path.clone(), target: real.clone() })?;
    from_native(inside).map_err(RepoError::BadPath)
}

/// The repository-relative name of `path`, which may be absolute or relative to `from`; links on the way to
/// its directory are followed, the last component is not.
pub(super) fn relative(root: &Path, from: &Path, path: &Path) -> Result<RelPath, RepoError> {
    let outside = |real: PathBuf| RepoError::OutsideRepository { path: real, root: root.to_owned() };
    let whole = from.join(path);
    let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
        return Err(outside(whole));
    };
    let parent = follow(Path::new("/"), parent).map_err(|_| outside(whole.clone()))?;
    let real = parent.join(name);
    let inside = real.strip_prefix(root).map_err(|_| outside(real.clone()))?;
    from_native(inside).map_err(RepoError::BadPath)
}

fn from_native(path: &Path) -> Result<RelPath, BadPath> {
    match path.to_str() {
        Some(text) => RelPath::new(text),
        None => Err(BadPath { path: path.to_string_lossy().into_owned(), why: "it is not UTF-8" }),
    }
}

/// Walks `path` from `base`, following every symlink that exists; the rest stays as written.
fn follow(base: &Path, path: &Path) -> Result<PathBuf, &'static str> {
    let mut at = base.to_owned();
    let mut todo: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        if part == "/" {
            at = PathBuf::from("/");
            continue;
        }
        let next = at.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err("a loop of symlinks");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    todo.push_front(part);
                }
            }
            // Not a link, or not there.
            Err(_) => at = next,
        }
    }
    Ok(at)
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_normalised() {
        assert_eq!(RelPath::new("./secrets//qa.sops.yaml").unwrap().as_str(), "secrets/qa.sops.yaml");
        assert_eq!(RelPath::new("h é*[a] .yaml").unwrap().as_str(), "h é*[a] .yaml");
    }

    #[test]
    fn a_name_that_leaves_the_tree_or_enters_git_is_refused() {
        for bad in
            ["", ".", "/etc/passwd", "a/../b", "..", ".git/config", "a/.GIT/x", "a/git~1/x", "a\nb", "a\0b"]
        {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_shows_no_raw_control_character() {
        let error = RelPath::new("a\u{1b}[2Jb").unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'));
    }

    #[test]
    fn directories_come_outermost_first() {
        let path = RelPath::new("a/b/c").unwrap();
        assert_eq!(path.directories().collect::<Vec<_>>(), ["a", "a/b"]);
    }

    #[cfg(unix)]
    mod links {
        use std::fs;
        use std::os::unix::fs::symlink;

        use super::*;

        fn tree() -> (tempfile::TempDir, PathBuf) {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap().join("repo");
            fs::create_dir_all(root.join("real/deep")).unwrap();
            (dir, root)
        }

        fn resolved(root: &Path, path: &str) -> Result<String, RepoError> {
            resolve(root, &RelPath::new(path).unwrap()).map(|path| path.as_str().to_owned())
        }

        #[test]
        fn a_link_inside_the_repository_is_followed_at_any_component() {
            let (_dir, root) = tree();
            symlink("real", root.join("dir")).unwrap();
            symlink("../real/file", root.join("real/link")).unwrap();
            symlink(root.join("real/deep"), root.join("absolute")).unwrap();
            assert_eq!(resolved(&root, "dir/file").unwrap(), "real/file");
            assert_eq!(resolved(&root, "dir/link").unwrap(), "real/file");
            assert_eq!(resolved(&root, "absolute/new").unwrap(), "real/deep/new");
            assert_eq!(resolved(&root, "not/there/yet").unwrap(), "not/there/yet");
        }

        #[test]
        fn a_link_out_of_the_repository_is_refused_at_any_component_even_when_it_dangles() {
            let (_dir, root) = tree();
            symlink("..", root.join("up")).unwrap();
            symlink("/nowhere/at/all", root.join("real/out")).unwrap();
            for path in ["up/file", "real/out", "real/out/file"] {
                let error = resolved(&root, path).unwrap_err();
                assert!(matches!(error, RepoError::LeavesRepository { .. }), "{path}: {error}");
            }
        }

        #[test]
        fn a_link_into_git_and_a_loop_are_refused() {
            let (_dir, root) = tree();
            fs::create_dir(root.join(".git")).unwrap();
            symlink(".git", root.join("config")).unwrap();
            symlink("loop", root.join("loop")).unwrap();
            assert!(matches!(resolved(&root, "config/x"), Err(RepoError::BadPath(_))));
            assert!(matches!(resolved(&root, "loop"), Err(RepoError::LeavesRepository { .. })));
        }

        #[test]
        fn a_path_of_the_users_becomes_relative_to_the_root() {
            let (_dir, root) = tree();
            symlink("real", root.join("dir")).unwrap();
            let name =
                |from: &Path, path: &str| relative(&root, from, Path::new(path)).map(|p| p.to_string());
            assert_eq!(name(&root.join("real"), "deep/x").unwrap(), "real/deep/x");
            assert_eq!(name(&root.join("dir"), "../real/./x").unwrap(), "real/x");
            assert_eq!(name(Path::new("/"), root.join("dir/x").to_str().unwrap()).unwrap(), "real/x");
            assert!(matches!(name(&root, "../x"), Err(RepoError::OutsideRepository { .. })));
        }
    }
}
