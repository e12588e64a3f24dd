//! `provision hook`: a pre-commit hook that checks what is staged, and key-level diffs in git.

use std::path::Path;

use crate::checks::attributes::{pattern, with_lines};
use crate::checks::hook::{COMMAND, Runner, advice};
use crate::checks::rules::{covers, path_rules};
use crate::cli::{HookArgs, HookCommand};
use crate::error::{Error, Kind, Result};
use crate::hint::Hint;
use crate::observe::POLICY;
use crate::observe::inspect::{Files, Of, has_metadata};
use crate::repo::{HookState, RelPath, Repository};
use crate::ui::Ui;
use crate::world::{Content, World};

const ATTRIBUTES: &str = ".gitattributes";

/// Installs or removes.
///
/// # Errors
/// Where somebody else runs the hooks (what to add there is said), or a file cannot be written.
pub fn run(args: &HookArgs, ui: Ui, world: &World) -> Result<()> {
    let repo = Repository::discover(&world.directory)?;
    match &args.command {
        HookCommand::Install { diff } => {
            if *diff {
                install_diff(&repo, ui, world)?;
            }
            install(&repo, ui)
        }
        HookCommand::Uninstall => uninstall(&repo, ui),
    }
}

fn program() -> Result<String> {
    let path = std::env::current_exe().map_err(|error| {
        Error::new(Kind::Failed, "cannot find out where this program is").because(error.to_string())
    })?;
    Ok(path.to_string_lossy().into_owned())
}

fn install(repo: &Repository, ui: Ui) -> Result<()> {
    let refused = |who: String, runner, path: &Path| {
        let error = Error::new(Kind::Refused, who).because("nobody's hook is overwritten");
        error.hint(advice(runner, &path.display().to_string()))
    };
    match repo.hook_state()? {
        HookState::Free(path) | HookState::Ours(path) => {
            repo.write_hook(&path, &program()?)?;
            ui.say(&format!("{} runs {COMMAND}", path.display()));
            Ok(())
        }
        HookState::Theirs(path) => Err(refused("there is a hook already".to_owned(), Runner::Script, &path)),
        HookState::Elsewhere(path) => {
            let who = format!("the hooks of this repository are kept in {}", parent(&path));
            Err(refused(who, Runner::Script, &path))
        }
        HookState::Framework(path) => {
            Err(refused("the pre-commit framework runs the hooks".to_owned(), Runner::Framework, &path))
        }
    }
}

fn parent(path: &Path) -> String {
    path.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}

/// The attributes go into a file that the team shares; which program they mean is for each clone to configure.
fn install_diff(repo: &Repository, ui: Ui, world: &World) -> Result<()> {
    let lines = attribute_lines(repo)?;
    let path = RelPath::new(ATTRIBUTES)?;
    let bytes = repo.work_tree_content(&path)?.unwrap_or_default();
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::new(Kind::Refused, format!("{ATTRIBUTES} is not UTF-8, so it is left alone")))?;
    if let Some(text) = with_lines(&text, &lines) {
        let written = world.effects().write(repo, &path, &Content::Scaffold(&text));
        written?;
        let add = format!("{ATTRIBUTES} names the secrets files; commit it: git add ");
        ui.say(&Hint::from(add).path(ATTRIBUTES).at(repo.here()).to_string());
    }
    let command = if Repository::is_on_path("provision") {
        "provision diff --textconv".to_owned()
    } else {
        let program = program()?;
        let quoted = shlex::try_quote(&program).map_err(|error| Error::from_source(Kind::Failed, &error))?;
        format!("{quoted} diff --textconv")
    };
    repo.set_textconv(Some(&command))?;
    ui.say("git diff and git log -p show the keys of secrets files");
    Ok(())
}

/// A line for each rule that has a pattern, and one for each SOPS file that none of these matches.
fn attribute_lines(repo: &Repository) -> Result<Vec<String>> {
    let files = Files::of(repo, Of::WorkTree)?;
    let policy = files.content(POLICY)?.unwrap_or_default();
    let rules = path_rules(&String::from_utf8_lossy(&policy));
    let (mut known, mut lines) = (Vec::new(), Vec::new());
    for rule in rules {
        let glob = rule.pattern.as_ref().and_then(|regex| pattern(regex.as_str()));
        if let Some(glob) = glob {
            lines.push(format!("{glob} diff=provision"));
            known.push(rule);
        }
    }
    for name in files.names().filter(|name| !covers(&known, name)) {
        if name != POLICY && files.content(name)?.is_some_and(|bytes| has_metadata(&bytes)) {
            let plain = !name.contains([' ', '*', '?', '[', '\\', '"']);
            lines.extend(plain.then(|| format!("/{name} diff=provision")));
        }
    }
    lines.dedup();
    Ok(lines)
}

fn uninstall(repo: &Repository, ui: Ui) -> Result<()> {
    if let HookState::Ours(path) = repo.hook_state()? {
        repo.remove_hook(&path)?;
        ui.say(&format!("{} is removed", path.display()));
    }
    repo.set_textconv(None)?;
    ui.say(&format!(
        "no hook and no diff driver of ours is set up; {ATTRIBUTES}, which others share, is left alone"
    ));
    Ok(())
}
