//! `provision demo`: the whole story in a temporary repository, against the embedded GitLab.

use std::path::Path;
use std::rc::Rc;

use super::{provision, status};
use crate::apply::publish;
use crate::cli::{
    ConnectionArgs, DeliveryArgs, DemoArgs, FailOn, ProvisionArgs, RunArgs, StatusArgs, WriteArgs,
};
use crate::error::{Error, Kind, Result};
use crate::gitlab::emulator::{Config, Emulator, Running};
use crate::repo::{RelPath, Repository, write};
use crate::secret::Secret;
use crate::sops::generate_identity;
use crate::ui::{Style, Ui};
use crate::world::{Content, System, Variables, World};

const FILES: [(&str, &str); 5] = [
    ("environments/devmode.yaml", include_str!("../../environments/devmode.yaml")),
    ("environments/dev.yaml", include_str!("../../environments/dev.yaml")),
    ("environments/qa.yaml", include_str!("../../environments/qa.yaml")),
    ("templates/backstage.yaml", include_str!("../../templates/backstage.yaml")),
    ("templates/kubernetes-secret.yaml", include_str!("../../templates/kubernetes-secret.yaml")),
];

/// Provisions devmode, dev and qa, shows what came of it, and does it again to show that nothing happens. Nothing of
/// the reader's is read or changed, and nothing leaves the machine.
///
/// # Errors
/// When the machine does not let it: no place for temporary files, no free port.
pub async fn run(args: &DemoArgs, ui: Ui) -> Result<()> {
    let failed = |what: &str, why: String| Error::new(Kind::Failed, what).because(why);
    let folder = tempfile::Builder::new()
        .prefix("provision-demo-")
        .tempdir()
        .map_err(|error| failed("cannot make a temporary folder", error.to_string()))?;
    let gitlab = Emulator::start(Config::default())
        .map_err(|error| failed("cannot start the embedded GitLab", error.to_string()))?;
    let (identity, recipient) = generate_identity();
    let repository = folder.path().join("repository");
    std::fs::create_dir(&repository)
        .map_err(|error| failed("cannot make a repository", error.to_string()))?;
    let repo = Repository::init_for_demo(&repository)?;
    let operator = world(&repository, &gitlab.operator_token(), &gitlab, &identity)?;
    let admin = world(&repository, &gitlab.admin_token(), &gitlab, &identity)?;

    heading(
        ui,
        "A repository with three environments, one template and a policy, and a GitLab to try them on",
    );
    ui.say(&format!("  repository  {}", repository.display()));
    ui.say(&format!("  GitLab      {} (embedded)", gitlab.url()));
    scaffold(&repo, &operator, &gitlab, &recipient.to_string())?;

    heading(ui, "$ provision --env devmode        a personal token; the API makes those for administrators");
    provision::run(&environments(&["devmode"]), ui, &admin).await?;
    heading(ui, "$ provision --env dev,qa         group tokens, each environment a commit of its own");
    provision::run(&environments(&["dev", "qa"]), ui, &operator).await?;
    heading(ui, "$ git log --oneline");
    for (id, subject) in repo.recent(4)? {
        ui.say(&format!("  {id} {subject}"));
    }
    heading(ui, "$ cat secrets/qa.sops.yaml       plain SOPS; stock sops reads and edits it");
    show_encrypted(&repo, ui)?;
    heading(ui, "$ provision status               from the locks alone: no key, no network");
    status::run(&every_status(), ui, &operator).await?;
    heading(ui, "$ provision --env dev,qa         again: all is healthy, nothing happens");
    provision::run(&environments(&["dev", "qa"]), ui, &operator).await?;
    next(ui);
    if args.keep {
        keep(ui, folder, &repository, &identity)?;
    }
    Ok(())
}

fn heading(ui: Ui, text: &str) {
    ui.say(&format!("\n{}", ui.paint(Style::Bold, text)));
}

/// A world of its own: no variable of the reader's is looked at.
fn world(repository: &Path, token: &Secret, gitlab: &Running, identity: &Secret) -> Result<World> {
    let variables = Variables {
        gitlab_token: Some(Secret::new(token.expose().to_owned())),
        gitlab_host: Some(gitlab.url().to_owned()),
        sops_age_key: Some(Secret::new(identity.expose().to_owned())),
        ..Variables::default()
    };
    let effects = System::new(None, &variables, repository)?;
    Ok(World::new(Rc::new(effects), variables, repository.to_owned()))
}

fn scaffold(repo: &Repository, world: &World, gitlab: &Running, recipient: &str) -> Result<()> {
    let policy = format!(
        "keys:\n  - &you {recipient}\ncreation_rules:\n  - path_regex: ^secrets/[^/]+\\.sops\\.yaml$\n    age: [*you]\n"
    );
    let mut files = vec![(".sops.yaml", policy)];
    files.extend(FILES.iter().map(|(path, text)| (*path, text.replace("https://gitlab.com", gitlab.url()))));
    let files = files.iter().map(|(path, text)| Ok((RelPath::new(path)?, Content::Scaffold(text))));
    let files = files.collect::<Result<Vec<_>>>()?;
    publish(&files, "Add profiles, template and policy".to_owned(), repo.head()?, repo, world).map(drop)
}

fn environments(names: &[&str]) -> ProvisionArgs {
    ProvisionArgs {
        prune: false,
        env: names.iter().map(|name| (*name).to_owned()).collect(),
        all: false,
        no_commit: false,
        sync_template: false,
        write: WriteArgs {
            accept_more: false,
            run: RunArgs {
                yes: true,
                dry_run: false,
                exit_code: false,
                lock_timeout: jiff::SignedDuration::ZERO,
                delivery: DeliveryArgs::default(),
            },
            connection: ConnectionArgs::default(),
        },
    }
}

fn every_status() -> StatusArgs {
    StatusArgs { env: Vec::new(), live: false, fail_on: FailOn::Due, connection: ConnectionArgs::default() }
}

fn show_encrypted(repo: &Repository, ui: Ui) -> Result<()> {
    let path = RelPath::new("secrets/qa.sops.yaml")?;
    let bytes = repo.content_at_head(&path)?.unwrap_or_default();
    for line in String::from_utf8_lossy(&bytes).lines() {
        let short: String = line.chars().take(96).collect();
        let cut = if short.len() < line.len() { "…" } else { "" };
        ui.say(&format!("  {short}{cut}"));
    }
    Ok(())
}

fn next(ui: Ui) {
    heading(ui, "Now with your own GitLab, in a repository of your own:");
    ui.say("  provision init");
    ui.say("  git add -A && git commit -m \"Add provision\"");
    ui.say("  GITLAB_HOST=https://gitlab.example.com GITLAB_TOKEN=… provision --env qa");
}

fn keep(ui: Ui, folder: tempfile::TempDir, repository: &Path, identity: &Secret) -> Result<()> {
    let folder = folder.keep();
    let key = folder.join("keys.txt");
    write::create_private(&key, format!("{}\n", identity.expose()).as_bytes())
        .map_err(|error| Error::new(Kind::Failed, "cannot keep the key").because(error.to_string()))?;
    heading(ui, "Kept, with a key that opens nothing else:");
    ui.say(&format!("  cd {}", repository.display()));
    ui.say(&format!("  SOPS_AGE_KEY_FILE={} sops decrypt secrets/qa.sops.yaml", key.display()));
    Ok(())
}
