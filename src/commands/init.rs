//! `provision init`: the files that a first user needs. What is already there is left alone.

use std::str::FromStr;

use super::own_key;
use crate::cli::InitArgs;
use crate::error::{Error, Kind, Result};
use crate::hint::Hint;
use crate::instance::Instance;
use crate::profile::group_path;
use crate::repo::{RelPath, Repository};
use crate::sops::{Recipient, RecipientError};
use crate::ui::{Ui, interrupt, prompt};
use crate::world::{Content, Variables, World};

mod ci;

const TEMPLATE: &str = include_str!("../../templates/backstage.yaml");

/// Writes environments/, templates/ and .sops.yaml where they are missing, and says what comes next.
///
/// # Errors
/// Outside a repository, with an address, group or recipient that cannot be one, or where a file cannot be written.
pub fn run(args: &InitArgs, ui: Ui, world: &World) -> Result<()> {
    interrupt::before_any_effect();
    let repo = Repository::discover(&world.directory)?;
    if args.ci {
        scaffold(ci::files(), args, &repo, ui, world)?;
        return ci::next(&repo, ui);
    }
    let gitlab = match &args.gitlab {
        Some(url) => instance(url)?,
        None if args.yes => instance(default_gitlab(&world.variables))?,
        None => {
            instance(&prompt::text(ui, "GitLab", Some(default_gitlab(&world.variables)), "--gitlab URL")?)?
        }
    };
    let group = match &args.group {
        Some(group) => group.clone(),
        None => prompt::text(ui, "Group whose tokens are minted (full path)", None, "--group PATH")?,
    };
    let group = group.trim_matches('/');
    group_path(group).map_err(|error| Error::from_source(Kind::Usage, &error))?;
    if args.recipients.is_empty() {
        let wish = own_key::Wish { yes: args.yes, ..own_key::Wish::default() };
        own_key::own(wish, ui, world)?;
    }
    let recipients = recipients(args, world)?;
    let files = files(&gitlab, group, &recipients);
    let missing = scaffold(files, args, &repo, ui, world)?;
    if missing.is_empty() {
        return Ok(());
    }
    ui.say("");
    ui.say("next:");
    let add = Hint::from("  git add ").paths(&missing).then(" && git commit -m \"Add provision\"");
    ui.say(&add.at(repo.here()).to_string());
    ui.say(&format!("  GITLAB_HOST={gitlab} GITLAB_TOKEN=… provision --env qa --dry-run"));
    Ok(())
}

/// Writes what is missing of these files. The paths that were written.
fn scaffold(
    files: Vec<(String, String)>,
    args: &InitArgs,
    repo: &Repository,
    ui: Ui,
    world: &World,
) -> Result<Vec<String>> {
    let ui = ui.before_question(!args.yes);
    let (there, missing): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(path, _)| repo.root().join(path).exists());
    for (path, _) in &there {
        ui.say(&format!("  keep    {path}"));
    }
    for (path, _) in &missing {
        ui.say(&format!("  create  {path}"));
    }
    if missing.is_empty() {
        ui.say("nothing to do: all files are there");
        return Ok(Vec::new());
    }
    if !args.yes {
        prompt::confirm(ui, "Go ahead?", "--yes")?;
    }
    interrupt::under_way();
    for (path, text) in &missing {
        write(repo, world, path, text)?;
    }
    Ok(missing.into_iter().map(|(path, _)| path).collect())
}

fn write(repo: &Repository, world: &World, path: &str, text: &str) -> Result<()> {
    let path = RelPath::new(path)?;
    world
        .effects()
        .write(repo, &path, &Content::Scaffold(text))
        .map_err(|error| Error::new(Kind::Failed, format!("cannot write {path}")).because(error.to_string()))
}

/// The instance that the environment names for GITLAB_TOKEN.
pub(super) fn default_gitlab(variables: &Variables) -> &str {
    let named = variables.gitlab_host.as_deref().or(variables.ci_server_url.as_deref());
    named.unwrap_or("https://gitlab.com")
}

pub(super) fn instance(text: &str) -> Result<Instance> {
    Instance::from_str(text.trim()).map_err(|error| Error::from_source(Kind::Usage, &error))
}

/// Those given, else the person's own identities: somebody has to be able to read the first file.
fn recipients(args: &InitArgs, world: &World) -> Result<Vec<Recipient>> {
    let own;
    let given: Vec<&str> = if args.recipients.is_empty() {
        own = world.identities()?.own_recipients()?.iter().map(ToString::to_string).collect::<Vec<_>>();
        own.iter().map(String::as_str).collect()
    } else {
        args.recipients.iter().map(String::as_str).collect()
    };
    if given.is_empty() {
        return Err(Error::new(Kind::Usage, "there is no age key to encrypt for")
            .hint("give one with --recipient age1…")
            .hint("or make one: mkdir -p ~/.config/sops/age && age-keygen -o ~/.config/sops/age/keys.txt"));
    }
    given.into_iter().map(|text| Recipient::from_str(text).map_err(|error| not_a_recipient(&error))).collect()
}

fn not_a_recipient(error: &RecipientError) -> Error {
    Error::from_source(Kind::Usage, error)
        .hint("a recipient begins with age1; age-keygen -y FILE prints that of a key")
}

fn files(gitlab: &Instance, group: &str, recipients: &[Recipient]) -> Vec<(String, String)> {
    vec![
        (".sops.yaml".to_owned(), policy(recipients)),
        ("environments/devmode.yaml".to_owned(), devmode(gitlab)),
        ("environments/dev.yaml".to_owned(), shared(gitlab, group, "dev")),
        ("environments/qa.yaml".to_owned(), shared(gitlab, group, "qa")),
        ("templates/backstage.yaml".to_owned(), TEMPLATE.to_owned()),
    ]
}

/// A recipient as YAML; the comment of an SSH key may hold anything.
fn scalar(recipient: &Recipient) -> String {
    let text = recipient.to_string();
    if recipient.is_ssh() { serde_json::Value::from(text).to_string() } else { text }
}

fn policy(recipients: &[Recipient]) -> String {
    let keys: String = recipients
        .iter()
        .enumerate()
        .map(|(index, recipient)| format!("  - &reader{} {}\n", index + 1, scalar(recipient)))
        .collect();
    let readers: String = (1..=recipients.len()).map(|n| format!("      - *reader{n}\n")).collect();
    format!(
        "# Who may read which file. Stock sops reads this file too.\n\
         keys:\n{keys}\
         creation_rules:\n  \
           - path_regex: ^secrets/[^/]+\\.sops\\.yaml$\n    \
             age:\n{readers}"
    )
}

fn shared(gitlab: &Instance, group: &str, name: &str) -> String {
    // A name of digits alone would be a number.
    let group = if group.contains(|c: char| c.is_ascii_alphabetic()) {
        group.to_owned()
    } else {
        format!("\"{group}\"")
    };
    format!(
        "gitlab: {gitlab}\n\
         secrets: {{ file: secrets/{name}.sops.yaml, template: backstage.yaml }}\n\
         tokens:\n  \
           backstage:\n    \
             kind: group\n    \
             group: {group}\n    \
             name: Backstage ({name})\n    \
             role: developer\n    \
             scopes: [read_api, read_repository, write_repository]\n"
    )
}

fn devmode(gitlab: &Instance) -> String {
    format!(
        "# One file a developer, readable by that developer only.\n\
         gitlab: {gitlab}\n\
         secrets: {{ file: \"secrets/devmode/{{user}}.sops.yaml\", template: backstage.yaml, recipients: self }}\n\
         tokens:\n  \
           backstage:\n    \
             kind: personal\n    \
             name: Backstage (localhost)\n    \
             scopes: [read_user, read_api, read_repository, write_repository]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Environment;
    use crate::sops::Policy;

    #[test]
    fn gitlab_is_the_one_that_the_environment_names_else_gitlab_com() {
        let named = |host: Option<&str>, ci: Option<&str>| {
            let variables = Variables {
                gitlab_host: host.map(str::to_owned),
                ci_server_url: ci.map(str::to_owned),
                ..Variables::default()
            };
            default_gitlab(&variables).to_owned()
        };
        assert_eq!(named(Some("a.example"), Some("https://b.example")), "a.example");
        assert_eq!(named(None, Some("https://b.example")), "https://b.example");
        assert_eq!(named(None, None), "https://gitlab.com");
    }

    #[test]
    fn what_it_scaffolds_is_valid_and_the_policy_leaves_personal_files_alone() {
        let gitlab = instance("https://gitlab.example.com").unwrap();
        let recipient =
            Recipient::from_str("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p").unwrap();
        let files = files(&gitlab, "acme/platform", &[recipient]);
        for (path, text) in &files {
            let Some(name) = path.strip_prefix("environments/").and_then(|p| p.strip_suffix(".yaml")) else {
                continue;
            };
            let environment = Environment::read(name, path, text).unwrap();
            assert_eq!(environment.gitlab, gitlab);
        }
        let policy = Policy::parse(&files[0].1).unwrap();
        assert_eq!(policy.rule_for("secrets/qa.sops.yaml").unwrap().recipients().len(), 1);
        assert!(policy.rule_for("secrets/devmode/ana.sops.yaml").is_err());
    }
}
