//! The guides, walked: every block of commands, typed by people who have a home of their own at a shell in a terminal, with
//! the embedded GitLab in the place of theirs. What happens beside the guide (a colleague merges) stands here.

use std::fs;
use std::path::Path;

use crate::adopt::by_hand;
use crate::support::form::MAUDE;
use crate::support::guide::{Typed, sections, shape, text};
use crate::support::lab::Lab;
use crate::support::shell::Shell;
use crate::support::team::Team;

const GUIDE: &str = "docs/guide.md";

/// The lines of the section below this heading.
fn section(document: &str, heading: &str) -> Vec<Typed> {
    let sections = sections(&text(document));
    let (_, lines) = sections.into_iter().find(|(title, _)| title == heading).unwrap();
    assert!(!lines.is_empty(), "{heading} of {document} has nothing to type");
    lines
}

/// What readers put their own into the place of.
fn own(line: &str, lab: &Lab) -> String {
    let line = line.replace("https://gitlab.example.com", lab.gitlab.url());
    line.replace("my/group", "alithya-csna").replace(" ben ", " dev ")
}

/// What ends with 3 where a document says so.
const LEAVES_SOMETHING: [&str; 1] = ["provision keys remove"];

/// Types the lines, after what `before` does at each. They end as the document says, and what it shows is said.
#[track_caller]
fn walk(shell: &mut Shell, lab: &Lab, lines: &[Typed], before: &mut dyn FnMut(&mut Shell, &str)) {
    for typed in lines {
        let line = typed.line.split("  #").next().unwrap().trim();
        before(shell, line);
        let line = own(line, lab);
        let led = shell.line(&line);
        let status = if LEAVES_SOMETHING.iter().any(|start| line.starts_with(start)) { 3 } else { 0 };
        assert_eq!(led.status, status, "{line}\n{}", led.said);
        let said = led.said;
        if !typed.shown.is_empty() {
            let shown = own(&typed.shown.join("\n"), lab);
            assert_eq!(shape(said.trim_end()), shape(&shown), "{line}\n{said}");
        }
    }
}

/// Somebody who owns the group, with the credential in the variables, as the guide says.
fn maintainer<'a>(lab: &'a Lab, folder: &Path) -> Shell<'a> {
    let mut maude = Shell::of(lab, "maude", folder);
    maude.secret = lab.gitlab.operator_token().expose().to_owned();
    maude.does(&format!("export GITLAB_HOST={}", lab.gitlab.url()));
    maude.does("read -rs GITLAB_TOKEN && export GITLAB_TOKEN");
    maude
}

const QA: &str = "sops decrypt --extract '[\"GITLAB_TOKEN\"]' secrets/qa.sops.yaml";

#[test]
fn a_maintainer_a_newcomer_ci_a_leak_and_a_leaver() {
    let lab = Lab::bare_today();
    lab.write("README.md", "ours\n");
    lab.commit_all("ours");
    let team = Team::of(&lab);
    let clone = |name: &str| team.another_clone(name).folder().to_owned();
    let mut maude = maintainer(&lab, &clone("of-maude"));
    let mut newcomer = None;
    walk(&mut maude, &lab, &section(GUIDE, "A maintainer"), &mut |maude, line| match line {
        "provision status" => {
            team.merge("provision/dev");
            team.merge("provision/qa");
            maude.does("git pull -q");
        }
        "git pull" => {
            let mut ben = Shell::of(&lab, "ben", &clone("of-ben"));
            walk(&mut ben, &lab, &section(GUIDE, "A new developer"), &mut |_, _| {});
            assert!(ben.does("provision exec --env devmode -- yarn dev").contains("started with glpat-"));
            assert_ne!(ben.line(QA).status, 0);
            newcomer = Some(ben);
            team.merge("provision/access-dev");
        }
        _ => {}
    });
    let mut ben = newcomer.unwrap();
    ben.does("git pull -q --rebase");
    let known = ben.does(QA);
    assert!(known.starts_with("glpat-"));

    walk(&mut maude, &lab, &section(GUIDE, "CI"), &mut |_, _| {});

    maude.secret.clone_from(&known);
    walk(&mut maude, &lab, &section(GUIDE, "A token has leaked"), &mut |_, _| {});
    ben.does("git pull -q --rebase");
    let known = ben.does(QA);
    assert_ne!(known, maude.secret);

    walk(&mut maude, &lab, &section(GUIDE, "Somebody leaves"), &mut |_, _| {});
    ben.does("git pull -q --rebase");
    assert_ne!(ben.line(QA).status, 0);
    assert_ne!(maude.does(QA), known);
}

#[test]
fn a_team_with_tokens_made_by_hand() {
    let lab = Lab::bare_today();
    lab.write(".sops.yaml", &format!("creation_rules:\n  - age: {}\n", lab.recipient));
    lab.write("secrets/qa.yaml", &format!("GITLAB_TOKEN: {}\n", by_hand(&lab, "By hand", 300)));
    by_hand(&lab, "Elsewhere", 300);
    lab.sops(["encrypt", "--in-place", "secrets/qa.yaml"]).ok();
    lab.commit_all("by hand");
    let mut maude = maintainer(&lab, &lab.repo());
    fs::create_dir_all(maude.home().join(".config/sops/age")).unwrap();
    fs::write(maude.home().join(".config/sops/age/keys.txt"), lab.identity()).unwrap();
    walk(&mut maude, &lab, &section(GUIDE, "A team with tokens made by hand"), &mut |_, _| {});
    assert!(lab.read("environments/qa.yaml").contains("By hand"));
    assert!(lab.read("environments/alithya-csna.yaml").contains("Elsewhere"));
}

#[test]
fn training_without_a_network() {
    let lab = Lab::bare_today();
    let mut somebody = Shell::of(&lab, "somebody", lab.everything());
    let mut address = String::new();
    for typed in section(GUIDE, "Training without a network") {
        let line = typed.line.replace("http://127.0.0.1:PORT GITLAB_TOKEN=…", &address);
        assert!(!line.contains('…'), "{line}");
        somebody.does(&line);
        if line.starts_with("provision emulator") {
            let json: serde_json::Value = serde_json::from_str(&somebody.hears("{\"url\"")).unwrap();
            address =
                format!("{} GITLAB_TOKEN={}", json["url"].as_str().unwrap(), json["token"].as_str().unwrap());
        }
    }
}

#[test]
fn the_readme_from_an_empty_repository_to_a_revocation() {
    const README: &str = "README.md";
    let lab = Lab::bare_today();
    let mut maude = Shell::of(&lab, "maude", lab.everything());
    maude.acts_as(MAUDE);
    maude.secret = lab.gitlab.operator_token().expose().to_owned();
    let first = section(README, "From an empty repository to a committed secret");
    walk(&mut maude, &lab, &first, &mut |maude, line| {
        if line == "provision --env qa" {
            walk(maude, &lab, &section(README, "provision"), &mut |_, _| {});
        }
    });
    for heading in ["A new developer", "Tokens that were made by hand"] {
        walk(&mut maude, &lab, &section(README, heading), &mut |_, _| {});
    }
    maude.does("git init -q --bare ../remote && git -C ../remote config receive.advertisePushOptions true");
    maude.does("git remote add origin ../remote && git push -q -u origin HEAD");
    maude.does("export EDITOR=\"sed -i -e 's/^GITLAB_HOST.*/GITLAB_HOST: forge.example.com/'\"");
    for heading in ["Teams: push, or a merge request", "Keys of every type"] {
        walk(&mut maude, &lab, &section(README, heading), &mut |_, _| {});
    }
    maude.does("git commit -qam edited");
    walk(&mut maude, &lab, &section(README, "Rotate"), &mut |maude, line| {
        if line == "provision rotate --leaked" {
            maude.secret = maude.does(QA);
        }
    });
}
