//! One file of each format as stock sops encrypts it, and ways to change its lines by hand.

use provision::sops::Format;

use super::workshop::Workshop;

/// A file that stock sops has encrypted, with one leaf a line.
pub(super) struct Case {
    pub(super) format: Format,
    pub(super) name: &'static str,
    pub(super) text: String,
    /// The same file from before a change of `a`.
    pub(super) older: String,
    /// What stands between a key and its value.
    delimiter: &'static str,
}

impl Case {
    fn new(shop: &Workshop, name: &'static str, plain: &str, delimiter: &'static str) -> Self {
        let encrypted = |plain: &str| {
            shop.write(name, plain);
            shop.sops(&["encrypt", "-i", name]);
            shop.read(name)
        };
        let format = Format::of_path(name);
        Self {
            format,
            name,
            text: encrypted(plain),
            older: encrypted(&plain.replace("one", "zero")),
            delimiter,
        }
    }

    pub(super) fn is_binary(&self) -> bool {
        self.format == Format::Binary
    }

    /// The secret that every row can work with.
    pub(super) fn secret(&self) -> &'static str {
        if self.is_binary() { "data" } else { "a" }
    }

    /// The name of a metadata field.
    pub(super) fn field(&self, name: &str) -> String {
        if self.format == Format::Dotenv { format!("sops_{name}") } else { name.to_owned() }
    }

    /// The line with this key, cut into what stands before its value, the value, and what stands behind.
    pub(super) fn cut(&self, key: &str) -> (&str, &str, &str) {
        let of_key = |line: &&str| {
            let (before, _) = line.split_once(self.delimiter).unwrap_or((line, ""));
            before.trim().trim_matches('"') == key
        };
        let line = self.text.lines().find(of_key).unwrap_or_else(|| panic!("{key} in {}", self.name));
        let start = line.find(self.delimiter).unwrap() + self.delimiter.len();
        let end = line.len() - usize::from(line.ends_with(',') && self.delimiter == ": ");
        (&line[..start], &line[start..end], &line[end..])
    }

    pub(super) fn line(&self, key: &str) -> String {
        let (before, value, behind) = self.cut(key);
        format!("{before}{value}{behind}\n")
    }

    pub(super) fn value(&self, key: &str) -> String {
        self.cut(key).1.to_owned()
    }

    pub(super) fn replaced(&self, line: &str, with: &str) -> String {
        assert_eq!(self.text.matches(line).count(), 1, "{line}");
        self.text.replacen(line, with, 1)
    }

    pub(super) fn with_value(&self, key: &str, value: &str) -> String {
        let (before, _, behind) = self.cut(key);
        self.replaced(&self.line(key), &format!("{before}{value}{behind}\n"))
    }

    /// With a part of the value replaced.
    pub(super) fn edited(&self, key: &str, from: &str, to: &str) -> String {
        let value = self.value(key);
        assert!(value.contains(from), "{from} in {value}");
        self.with_value(key, &value.replacen(from, to, 1))
    }

    pub(super) fn renamed(&self, key: &str, to: &str) -> String {
        self.replaced(&self.line(key), &self.line(key).replacen(key, to, 1))
    }

    pub(super) fn without(&self, key: &str) -> String {
        self.replaced(&self.line(key), "")
    }

    /// A value as the format writes a text.
    pub(super) fn written(&self, text: &str) -> String {
        match self.format {
            Format::Yaml | Format::Json | Format::Binary => format!("\"{text}\""),
            Format::Dotenv | Format::Ini => text.to_owned(),
        }
    }

    /// A line of its own before that of `key`.
    pub(super) fn inserted(&self, before: &str, key: &str, value: &str) -> String {
        let line = self.line(before);
        let (start, _, _) = self.cut(before);
        let comma = if self.delimiter == ": " && self.format != Format::Yaml { "," } else { "" };
        self.replaced(&line, &format!("{}{value}{comma}\n{line}", start.replacen(before, key, 1)))
    }

    pub(super) fn exchanged(&self, one: &str, two: &str) -> String {
        let (first, second) = (self.line(one), self.line(two));
        self.text.replacen(&format!("{first}{second}"), &format!("{second}{first}"), 1)
    }

    /// With one character of the base64 behind `mark` changed.
    pub(super) fn flipped(&self, key: &str, mark: &str) -> String {
        let value = self.value(key);
        let at = value.find(mark).unwrap() + mark.len();
        let other = if value[at..].starts_with('A') { "B" } else { "A" };
        self.with_value(key, &format!("{}{other}{}", &value[..at], &value[at + 1..]))
    }

    /// The same file with another text.
    pub(super) fn with_text(&self, text: &str) -> Self {
        Self { text: text.to_owned(), older: self.older.clone(), ..*self }
    }

    /// The file, where it can have more than texts.
    pub(super) fn nested(&self) -> Option<&Self> {
        matches!(self.format, Format::Yaml | Format::Json).then_some(self)
    }
}

/// A file of each format.
pub(super) fn cases(shop: &Workshop) -> Vec<Case> {
    shop.rule("");
    let clear = ["x_unencrypted", "1", "y_unencrypted", "23"];
    let [x, one, y, two] = clear;
    vec![
        Case::new(
            shop,
            "t.yaml",
            &format!("a: one\nb: two\n{x}: \"{one}\"\n{y}: \"{two}\"\nlast: z\n"),
            ": ",
        ),
        Case::new(
            shop,
            "t.json",
            &format!(
                "{{\"a\": \"one\", \"b\": \"two\", \"{x}\": \"{one}\", \"{y}\": \"{two}\", \"last\": \"z\"}}"
            ),
            ": ",
        ),
        Case::new(shop, "t.env", &format!("a=one\nb=two\n{x}={one}\n{y}={two}\nlast=z\n"), "="),
        Case::new(shop, "t.ini", &format!("[s]\na=one\nb=two\n{x}={one}\n{y}={two}\nlast=z\n"), "= "),
        Case::new(shop, "t.bin", "one", ": "),
    ]
}
