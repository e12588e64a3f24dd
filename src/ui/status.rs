//! The table of `status`.

use comfy_table::{Cell, Table, presets};

use super::{Style, Ui};
use crate::checks::{Row, Severity};

/// The table as text. `source` says where its facts are from, such as "according to the locks".
#[must_use]
pub fn text(ui: Ui, rows: &[Row], source: &str) -> String {
    if rows.is_empty() {
        return format!("nothing was minted yet, {source}\n");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["ENVIRONMENT", "TOKEN", "KIND", "OWNER", "ID", "EXPIRES", "STATE"]);
    for row in rows {
        table.add_row([
            Cell::new(environment(row)),
            Cell::new(&row.key),
            Cell::new(row.kind),
            Cell::new(row.owner.as_deref().unwrap_or("-")),
            Cell::new(row.id.map_or_else(|| "-".to_owned(), |id| id.to_string())),
            Cell::new(row.expires.map_or_else(|| never(row), |date| date.to_string())),
            Cell::new(state(row)),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    paint(ui, rows, &trimmed(&table), source)
}

fn environment(row: &Row) -> String {
    match &row.user {
        Some(user) => format!("{}/{user}", row.environment),
        None => row.environment.clone(),
    }
}

fn never(row: &Row) -> String {
    if row.id.is_some() { "never".to_owned() } else { "-".to_owned() }
}

fn state(row: &Row) -> String {
    if row.superseded.is_empty() {
        return row.state.to_string();
    }
    let old: Vec<String> = row.superseded.iter().map(ToString::to_string).collect();
    format!("{} (superseded: {})", row.state, old.join(", "))
}

/// Colours whole lines, after the columns were laid out: escape sequences would count as width.
fn paint(ui: Ui, rows: &[Row], table: &str, source: &str) -> String {
    let mut lines = table.lines();
    let mut out = format!("{}\n", ui.paint(Style::Dim, lines.next().unwrap_or_default()));
    for (line, row) in lines.zip(rows) {
        let line = match row.state.severity() {
            Severity::Fine => line.to_owned(),
            Severity::Due => ui.paint(Style::Warn, line),
            Severity::Dead => ui.paint(Style::Bad, line),
        };
        out += &format!("{line}\n");
    }
    out + &format!("{}\n", ui.paint(Style::Dim, source))
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
