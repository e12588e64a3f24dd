//! What is wrong in a profile: everything at once, each with its place.

use std::fmt;

use crate::yaml::Position;

/// All problems of one profile, in the order of the file; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    path: String,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the profile.
    pub position: Position,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ProfileError {
    pub(super) fn new(path: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.position);
        Self { path: path.to_owned(), problems }
    }

    /// The profile's path, as it was given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// One line per problem: `environments/qa.yaml:7:5: unknown key …`.
impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Problem { position, message }) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{position}: {message}", self.path)?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileError {}
