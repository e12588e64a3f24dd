//! `provision export`: the values of secrets files for a shell, as `.env` or as JSON, where that is asked for.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::{ExportArgs, ExportFormat};
use crate::environ::{Assignment, quote};
use crate::error::{Error, Kind, Result};
use crate::observe::variables::Chosen;
use crate::secret::Secret;
use crate::ui::Ui;
use crate::world::World;

#[derive(Serialize)]
struct Names<'a> {
    variables: Vec<&'a str>,
}

/// Prints the names; with `--reveal` the values, once the MACs were verified.
///
/// # Errors
/// Files that cannot be opened, names that are refused, values that the format cannot hold.
pub fn run(args: &ExportArgs, ui: Ui, world: &World) -> Result<()> {
    let chosen = Chosen::of(&args.variables, world)?;
    let format = if ui.json() { ExportFormat::Json } else { args.format };
    if !args.reveal {
        return names(&chosen, ui, format);
    }
    let variables = chosen.open(world)?;
    let text = match format {
        ExportFormat::Sh => lines(&variables, quote::shell)?,
        ExportFormat::Dotenv => lines(&variables, quote::dotenv)?,
        ExportFormat::Json => return ui.secret_json(&json(&variables)?),
    };
    ui.bytes(text.expose().as_bytes())
}

fn names(chosen: &Chosen, ui: Ui, format: ExportFormat) -> Result<()> {
    let variables: Vec<&str> = chosen.variables.iter().map(|variable| variable.name.as_str()).collect();
    if format == ExportFormat::Json {
        return ui.result_json(&Names { variables });
    }
    let comments: String = variables.iter().map(|name| format!("# {name}\n")).collect();
    ui.result(&comments)?;
    ui.say("--reveal prints the values");
    Ok(())
}

type Line = Result<Zeroizing<String>, quote::QuoteError>;

fn lines(variables: &[Assignment], line: impl Fn(&str, &[u8]) -> Line) -> Result<Secret> {
    let lines: Vec<_> =
        variables.iter().map(|variable| line(&variable.name, &variable.value)).collect::<Result<_, _>>()?;
    let mut text = Zeroizing::new(String::with_capacity(lines.iter().map(|line| line.len()).sum()));
    for line in &lines {
        text.push_str(line);
    }
    Ok(text.into())
}

fn json(variables: &[Assignment]) -> Result<Secret> {
    let texts = variables
        .iter()
        .map(|variable| quote::text(&variable.name, &variable.value).map(|text| (variable, text)));
    let object: Vec<_> = texts.collect::<Result<_, _>>()?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        object.iter().map(|(variable, text)| variable.name.len() + text.len() * 6 + 16).sum::<usize>() + 8,
    ));
    let mut serializer = serde_json::Serializer::pretty(&mut *bytes);
    let entries = object.iter().map(|(variable, text)| (&variable.name, *text));
    serde::Serializer::collect_map(&mut serializer, entries)
        .map_err(|error| Error::new(Kind::Failed, "cannot make JSON").because(error.to_string()))?;
    String::from_utf8(std::mem::take(&mut bytes))
        .map(Secret::new)
        .map_err(|error| Error::new(Kind::Failed, "cannot make JSON").because(error.utf8_error().to_string()))
}
