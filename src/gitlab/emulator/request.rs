//! A request as the routes see it: method, path, merged parameters, credential. No socket, no framework.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::refusal::Refusal;
use crate::secret::Secret;

/// One request, taken apart.
pub(super) struct Request {
    /// GET, POST, PUT, PATCH, DELETE. HEAD arrives as GET.
    pub(super) method: String,
    /// The path behind `/api/v4`, still percent-encoded.
    pub(super) path: String,
    /// The path's segments, decoded one by one: `alithya%2Fcsna` is one segment with a slash in it.
    pub(super) segments: Vec<String>,
    /// Query and body merged, as Grape merges them; the body wins.
    pub(super) params: Map<String, Value>,
    /// The credential, wherever it stood.
    pub(super) credential: Option<Secret>,
    /// Scheme, host, port and relative root: what links in replies begin with.
    pub(super) base: String,
    /// The query as it was sent, for `Link`.
    pub(super) query: Vec<(String, String)>,
}

/// Splits and decodes the path behind `/api/v4`.
pub(super) fn segments(path: &str) -> Vec<String> {
    path.trim_matches('/').split('/').map(decode).collect()
}

/// Percent-decoding of one path segment; `+` stays what it is.
fn decode(segment: &str) -> String {
    let escaped = segment.replace('+', "%2B");
    form_urlencoded::parse(escaped.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

/// Query or form parameters as Rack reads them: `a[]=1&a[]=2` is a list, `a[b]=1` an object.
pub(super) fn form(text: &str) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in form_urlencoded::parse(text.as_bytes()) {
        let value = Value::String(value.into_owned());
        match key.split_once('[') {
            Some((name, "]")) => {
                let entry = map.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(items) = entry {
                    items.push(value);
                }
            }
            Some((name, inner)) => {
                let entry = map.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(fields) = entry {
                    fields.insert(inner.trim_end_matches(']').to_owned(), value);
                }
            }
            None => {
                map.insert(key.into_owned(), value);
            }
        }
    }
    map
}

/// The body as parameters. Empty bodies and `{}` are tolerated with any method and content type, because real
/// clients send them.
///
/// # Errors
/// Grape's 400 where a body that says it is JSON is not.
pub(super) fn body(content_type: &str, bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let malformed = || Refusal::Invalid(vec!["message body does not match declared format".to_owned()]);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return Ok(form(std::str::from_utf8(bytes).map_err(|_| malformed())?));
    }
    if content_type.starts_with("application/json") {
        return match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Ok(Map::new()),
            Err(_) => Err(malformed()),
        };
    }
    // Grape leaves a body of a type that it has no parser for unread.
    Ok(Map::new())
}

/// Parameters read with their declared types. Problems are collected, so that one reply names all of them, in the
/// order of declaration, as Grape does.
pub(super) struct Params<'a> {
    map: &'a Map<String, Value>,
    problems: Vec<String>,
}

impl<'a> Params<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self { map, problems: Vec::new() }
    }

    /// The problems as a 400, if there are any.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal::Invalid(self.problems)) }
    }

    fn given(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn invalid<T>(&mut self, name: &str) -> Option<T> {
        self.problems.push(format!("{name} is invalid"));
        None
    }

    fn refused_value(&mut self, name: &str) {
        self.problems.push(format!("{name} does not have a valid value"));
    }

    fn require(&mut self, name: &str) {
        if !self.map.contains_key(name) {
            self.problems.push(format!("{name} is missing"));
        }
    }

    /// A string; numbers and booleans are taken as their text, as Grape coerces them.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.given(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => self.invalid(name),
        }
    }

    /// A string that must be there; it may be empty, which only the model refuses.
    pub(super) fn required_text(&mut self, name: &str) -> String {
        self.require(name);
        self.text(name).unwrap_or_default()
    }

    /// A string out of a closed set.
    pub(super) fn choice(&mut self, name: &str, allowed: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if !allowed.contains(&text.as_str()) {
            self.refused_value(name);
            return None;
        }
        Some(text)
    }

    /// A whole number, as a number or as text.
    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        let number = match self.given(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() { self.invalid(name) } else { number }
    }

    /// A whole number out of a closed set.
    pub(super) fn level(&mut self, name: &str, allowed: &[u8]) -> Option<u8> {
        let number = self.integer(name)?;
        let level = u8::try_from(number).ok().filter(|level| allowed.contains(level));
        if level.is_none() {
            self.refused_value(name);
        }
        level
    }

    /// true or false, also as text.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.given(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text == "true" || text == "1" => Some(true),
            Value::String(text) if text == "false" || text == "0" => Some(false),
            Value::String(text) if text.is_empty() => None,
            _ => self.invalid(name),
        }
    }

    /// A date. An empty string counts as not given; of a timestamp the day is taken.
    pub(super) fn date(&mut self, name: &str) -> Option<Date> {
        let text = self.text(name).filter(|text| !text.is_empty())?;
        match text.get(..10).unwrap_or(&text).parse() {
            Ok(date) => Some(date),
            Err(_) => self.invalid(name),
        }
    }

    /// A point in time; a date alone means its first moment in UTC.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name).filter(|text| !text.is_empty())?;
        let start_of_day = || text.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        match text.parse().ok().or_else(|| Some(start_of_day()?.timestamp())) {
            Some(time) => Some(time),
            None => self.invalid(name),
        }
    }

    /// A list of strings out of a closed set, which must be there. `comma` says whether the route also takes one
    /// string with commas (`coerce_with: CommaSeparatedToArray`).
    pub(super) fn required_list(&mut self, name: &str, allowed: &[&str], comma: bool) -> Vec<String> {
        self.require(name);
        let list: Option<Vec<String>> = match self.given(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(Value::String(text)) if comma => Some(text.split(',').map(str::to_owned).collect()),
            Some(_) => None,
        };
        let Some(list) = list else {
            self.problems.push(format!("{name} is invalid"));
            return Vec::new();
        };
        if list.iter().any(|item| !allowed.contains(&item.as_str())) {
            self.refused_value(name);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        assert_eq!(
            segments("/groups/alithya%2Fcsna/access_tokens"),
            ["groups", "alithya/csna", "access_tokens"]
        );
        assert_eq!(segments("/groups/a+b"), ["groups", "a+b"]);
    }

    #[test]
    fn form_bodies_hold_lists_and_objects() {
        let map = form("scopes[]=api&scopes%5B%5D=read_api&name=a+b&filter%5Benvironment_scope%5D=qa");
        let expected = serde_json::json!({
            "scopes": ["api", "read_api"], "name": "a b", "filter": {"environment_scope": "qa"}
        });
        assert_eq!(Value::Object(map), expected);
    }

    #[test]
    fn all_problems_are_named_in_order() {
        let map = form("expires_at=soon&access_level=35");
        let mut params = Params::new(&map);
        params.required_text("name");
        params.required_list("scopes", &["api"], false);
        params.date("expires_at");
        params.level("access_level", &[30, 40]);
        let Err(Refusal::Invalid(problems)) = params.finish() else { panic!("accepted") };
        let expected = [
            "name is missing",
            "scopes is missing",
            "expires_at is invalid",
            "access_level does not have a valid value",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_string_with_commas_is_a_list_only_where_the_route_says_so() {
        let map = form("scopes=api,read_api");
        let mut params = Params::new(&map);
        assert_eq!(params.required_list("scopes", &["api", "read_api"], true), ["api", "read_api"]);
        assert!(params.finish().is_ok());
        let mut params = Params::new(&map);
        params.required_list("scopes", &["api", "read_api"], false);
        assert!(params.finish().is_err());
    }

    #[test]
    fn empty_bodies_and_empty_objects_are_tolerated() {
        assert!(body("application/json", b"").is_ok_and(|map| map.is_empty()));
        assert!(body("application/json", b"{}").is_ok_and(|map| map.is_empty()));
        assert!(body("application/json", b"{").is_err());
    }
}
