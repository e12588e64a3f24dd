//! Every command that README and guides show is one that the program takes, in both languages the same.

use std::collections::BTreeSet;

use clap::Parser as _;
use provision::cli::Cli;

use crate::support::guide::{sections, text};

const DOCUMENTS: [&str; 4] = ["README.md", "docs/guide.md", "docs/guide.fr.md", "docs/ci.md"];

/// The commands of code blocks, and those between backticks in the text.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced || line.starts_with("    ") {
            commands.extend(of_line(line));
            continue;
        }
        let spans = line.split('`').skip(1).step_by(2);
        commands.extend(spans.filter(|span| span.starts_with("provision ")).map(str::to_owned));
    }
    commands
}

/// What a line of a block starts: after a prompt, a `script:`, an assignment, or another command.
fn of_line(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split("&&").flat_map(|part| part.split('|'));
    let starts = parts.filter_map(|part| {
        let part =
            part.trim().trim_start_matches("$ ").trim_start_matches("- ").trim_start_matches("script: ");
        let words = part.split(' ').skip_while(|word| word.contains('=') && !word.starts_with('-'));
        let command: Vec<&str> = words.collect();
        (command.first() == Some(&"provision")).then(|| command.join(" "))
    });
    starts.collect()
}

#[test]
fn every_command_in_readme_and_guides_is_one_that_the_program_takes() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for document in DOCUMENTS {
        for command in commands(&text(document)) {
            count += 1;
            let command = command.trim_end_matches('&').trim();
            let words = shlex::split(command).unwrap_or_else(|| panic!("{document}: {command}"));
            if let Err(error) = Cli::try_parse_from(&words)
                && error.use_stderr()
            {
                wrong.push(format!("{document}: {command}\n{error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "only {count} commands were found");
}

#[test]
fn both_guides_lead_through_the_same_commands_in_the_same_order() {
    let lines = |document| {
        let sections = sections(&text(document));
        let line = |line: &str| {
            let line = line.split("  #").next().unwrap().trim().to_owned();
            // What people call their groups, folders and commits differs.
            let message =
                line.find("-m \"").map(|start| start..start + 4 + line[start + 4..].find('"').unwrap());
            let line = message.map_or(line.clone(), |message| line.replace(&line[message], "-m \""));
            line.replace("mon/groupe", "my/group").replace("essai", "train")
        };
        let blocks = sections.iter().map(|(_, typed)| typed.iter().map(|typed| line(&typed.line)).collect());
        blocks.collect::<Vec<Vec<String>>>()
    };
    let (english, french) = (lines("docs/guide.md"), lines("docs/guide.fr.md"));
    assert!(english.iter().flatten().count() > 20, "{english:?}");
    assert_eq!(french, english);
    // And name the same ones in the text.
    let named = |document| {
        let commands = commands(&text(document)).into_iter();
        let start = |command: String| command.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        commands.map(start).collect::<BTreeSet<_>>()
    };
    assert_eq!(named("docs/guide.fr.md"), named("docs/guide.md"));
}
