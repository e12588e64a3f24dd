//! What is wrong in a file that a person writes: everything at once, each with its place.

use std::fmt;

use crate::yaml::{Node, Position, Tree};

/// All problems of one file, in its order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    path: String,
    list: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file.
    pub position: Position,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Problems {
    pub(crate) fn new(path: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.position);
        Self { path: path.to_owned(), list }
    }

    /// The file's path, as it was given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The problems, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

/// One line per problem: `environments/qa.yaml:7:5: unknown key …`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Problem { position, message }) in self.list.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{position}: {message}", self.path)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The root of the only document of a tree; `what` names the kind of file in the error.
pub(crate) fn only_root<'t>(tree: &'t Tree, what: &str) -> Result<Node<'t>, Problem> {
    if let Some(second) = tree.documents().nth(1) {
        let message = format!("a second document; {what} is one");
        return Err(Problem { position: second.position(), message });
    }
    let start = Position { line: 1, column: 1 };
    tree.root().ok_or_else(|| Problem { position: start, message: "the file is empty".to_owned() })
}
