//! What effects are called in the story of a run.

use provision::gitlab::transport::{Method, Request};
use provision::journal::Line;

use super::fault::Effect;

/// Numbers are `N`, so that two runs tell the same.
pub(super) fn request(request: &Request) -> (Effect, String) {
    let effect = match request.method() {
        Method::Get => Effect::Read,
        Method::Post => Effect::Mint,
        Method::Delete => Effect::Revoke,
    };
    let path = request.url().path().trim_start_matches("/api/v4");
    let number = |part: &str| part.chars().all(|c| c.is_ascii_digit()) && !part.is_empty();
    let parts: Vec<&str> = path.split('/').map(|part| if number(part) { "N" } else { part }).collect();
    (effect, format!("{} {}", request.method(), parts.join("/")))
}

pub(super) fn line(line: &Line) -> String {
    match line {
        Line::Intent(intent) => format!("intent {}", intent.key),
        Line::Refused { .. } => "refused".to_owned(),
        Line::Minted { .. } => "minted".to_owned(),
        Line::Withdrawn { .. } => "withdrawn".to_owned(),
        Line::GivenUp { .. } => "given up".to_owned(),
        Line::Retiring(begun) => format!("retiring the old {}", begun.key),
        Line::Writing { files } => {
            let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            format!("writing {}", paths.join(" "))
        }
        Line::Pushing(push) => format!("pushing {} to {}", push.branch, push.remote),
    }
}
