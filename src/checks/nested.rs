//! Policies below the root. Stock sops takes the one that it finds first, from the folder in which it is started upwards
//! (config/config.go, `FindConfigFile`), so that a file below one may follow that; here only the one at the root counts.

use std::collections::BTreeMap;

const NAME: &str = ".sops.yaml";

/// The policies of a repository other than the one at its root.
#[derive(Debug, Default)]
pub struct NestedPolicies {
    /// By their folder, with the slash at its end.
    paths: BTreeMap<String, String>,
}

impl NestedPolicies {
    /// Those among these paths, which are relative to the root.
    pub fn among<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let folder = |path: &'p str| path.strip_suffix(NAME).filter(|folder| folder.ends_with('/'));
        let nested = paths.into_iter().filter_map(|path| Some((folder(path)?.to_owned(), path.to_owned())));
        Self { paths: nested.collect() }
    }

    /// The nearest one above a file; itself above a policy.
    #[must_use]
    pub fn over(&self, path: &str) -> Option<&str> {
        let mut folders = path.rmatch_indices('/').map(|(at, slash)| &path[..at + slash.len()]);
        folders.find_map(|folder| self.paths.get(folder)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_policy_counts_and_the_one_at_the_root_is_not_nested() {
        let nested = NestedPolicies::among([
            ".sops.yaml",
            "team/.sops.yaml",
            "team/a/.sops.yaml",
            "x.sops.yaml",
            "b/my.sops.yaml",
        ]);
        for (path, over) in [
            ("secrets/qa.sops.yaml", None),
            ("team.yaml", None),
            ("teams/x.yaml", None),
            ("b/x.yaml", None),
            ("team/x.yaml", Some("team/.sops.yaml")),
            ("team/b/c/x.yaml", Some("team/.sops.yaml")),
            ("team/a/b/x.yaml", Some("team/a/.sops.yaml")),
        ] {
            assert_eq!(nested.over(path), over, "{path}");
        }
    }
}
