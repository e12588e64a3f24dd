//! Fault rules: which requests go wrong, and how.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::clock::parse_duration;

/// The grammar, as the command's help shows it.
pub const GRAMMAR: &str = "\
Fault rules:
  METHOD PATH [after N] [xN] EFFECT

  METHOD   GET, POST, PUT, PATCH, DELETE, or * for any
  PATH     what follows /api/v4; a * stands for any text: /groups/*/access_tokens
  after N  lets the first N requests that match pass
  xN       works N times, then never again; without it, always

  refuse               close the connection as soon as the request is seen
  cut                  read the request, then close the connection; nothing is done
  lose-reply           do what was asked, then close the connection without a reply
  delay DURATION       do what was asked only after this long, even when the client has gone
  truncate             send half of the reply's body, then close the connection
  401|403|404|500|502  answer so, and do nothing
  429 [SECONDS]        the same, with Retry-After (30)
  html                 200 with a login page
  redirect URL         301 to URL
  mismatch             mint with one scope less and one day less than asked for

  Each request goes to the first rule that matches and is neither waiting nor used up.

Examples:
  --fault 'POST /groups/*/access_tokens x1 lose-reply'
  --fault 'GET /personal_access_tokens/self after 1 x2 502'
  --fault '* * 429 5'";

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    method: Option<String>,
    path: String,
    after: u32,
    times: Option<u32>,
    effect: Effect,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Refuse,
    Cut,
    LoseReply,
    Delay(Duration),
    Truncate,
    Status(Failure),
    Throttle(u64),
    Html,
    Redirect(String),
    Mismatch,
}

/// A status that is answered instead of doing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Unauthorized,
    Forbidden,
    NotFound,
    Crash,
    BadGateway,
}

/// Seconds of `Retry-After` when the rule names none.
const RETRY_AFTER: u64 = 30;

/// Why a text is not a rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}` is not a fault rule: {reason}")]
pub struct RuleError {
    rule: String,
    reason: String,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text).map_err(|reason| RuleError { rule: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Rule, String> {
    let mut words = text.split_whitespace().peekable();
    let method = match words.next().ok_or("it is empty; write METHOD PATH EFFECT")? {
        "*" => None,
        known @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE") => Some(known.to_owned()),
        other => return Err(format!("`{other}` is not a method; use GET, POST, PUT, PATCH, DELETE or *")),
    };
    let path = words.next().ok_or("the path is missing")?;
    if !path.starts_with(['/', '*']) {
        return Err(format!("the path `{path}` must begin with / or *"));
    }
    let (mut after, mut times) = (0, None);
    let effect = loop {
        match words.next().ok_or("the effect is missing")? {
            "after" => after = count(words.next().ok_or("a number must follow `after`")?)?,
            word => {
                match word.strip_prefix('x').filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))
                {
                    Some(number) => times = Some(count(number)?),
                    None => break word,
                }
            }
        }
    };
    let argument = words.next();
    if let Some(extra) = words.next() {
        return Err(format!("`{extra}` stands behind the rule's end"));
    }
    let effect = parse_effect(effect, argument)?;
    Ok(Rule { method, path: path.to_owned(), after, times, effect })
}

fn count(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number"))
}

fn parse_effect(word: &str, argument: Option<&str>) -> Result<Effect, String> {
    let effect = match (word, argument) {
        ("delay", Some(duration)) => {
            let duration = parse_duration(duration)?;
            return Duration::try_from(duration)
                .map(Effect::Delay)
                .map_err(|_| "a delay cannot be negative".to_owned());
        }
        ("delay", None) => return Err("`delay` needs a duration such as 2s".to_owned()),
        ("redirect", Some(url)) => return Ok(Effect::Redirect(url.to_owned())),
        ("redirect", None) => return Err("`redirect` needs a URL".to_owned()),
        ("429", Some(seconds)) => return Ok(Effect::Throttle(u64::from(count(seconds)?))),
        ("429", None) => Effect::Throttle(RETRY_AFTER),
        ("refuse", _) => Effect::Refuse,
        ("cut", _) => Effect::Cut,
        ("lose-reply", _) => Effect::LoseReply,
        ("truncate", _) => Effect::Truncate,
        ("html", _) => Effect::Html,
        ("mismatch", _) => Effect::Mismatch,
        ("401", _) => Effect::Status(Failure::Unauthorized),
        ("403", _) => Effect::Status(Failure::Forbidden),
        ("404", _) => Effect::Status(Failure::NotFound),
        ("500", _) => Effect::Status(Failure::Crash),
        ("502", _) => Effect::Status(Failure::BadGateway),
        (other, _) => return Err(format!("`{other}` is not an effect")),
    };
    match argument {
        Some(extra) => Err(format!("`{extra}` stands behind the rule's end")),
        None => Ok(effect),
    }
}

impl Rule {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method) && glob(&self.path, path)
    }
}

/// `*` stands for any text, also none, also with slashes.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| glob(rest, &text[at..]))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_deref().unwrap_or("*"), self.path)?;
        if self.after > 0 {
            write!(f, " after {}", self.after)?;
        }
        if let Some(times) = self.times {
            write!(f, " x{times}")?;
        }
        write!(f, " {}", self.effect)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse => f.write_str("refuse"),
            Self::Cut => f.write_str("cut"),
            Self::LoseReply => f.write_str("lose-reply"),
            Self::Delay(duration) => write!(f, "delay {}ms", duration.as_millis()),
            Self::Truncate => f.write_str("truncate"),
            Self::Status(Failure::Unauthorized) => f.write_str("401"),
            Self::Status(Failure::Forbidden) => f.write_str("403"),
            Self::Status(Failure::NotFound) => f.write_str("404"),
            Self::Status(Failure::Crash) => f.write_str("500"),
            Self::Status(Failure::BadGateway) => f.write_str("502"),
            Self::Throttle(seconds) => write!(f, "429 {seconds}"),
            Self::Html => f.write_str("html"),
            Self::Redirect(url) => write!(f, "redirect {url}"),
            Self::Mismatch => f.write_str("mismatch"),
        }
    }
}

/// The rules in force, with how often each has matched.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<(Rule, u32)>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push((rule, 0));
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The rules as text.
    pub(super) fn list(&self) -> Vec<String> {
        self.rules.iter().map(|(rule, _)| rule.to_string()).collect()
    }

    /// What happens to this request, if anything.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Effect> {
        for (rule, seen) in self.rules.iter_mut().filter(|(rule, _)| rule.matches(method, path)) {
            let used = seen.saturating_sub(rule.after);
            if *seen < rule.after {
                *seen += 1;
            } else if rule.times.is_none_or(|times| used < times) {
                *seen = seen.saturating_add(1);
                return Some(rule.effect.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_and_write_the_same() {
        for text in [
            "POST /groups/*/access_tokens x2 lose-reply",
            "GET /personal_access_tokens/self after 1 x3 502",
            "* * refuse",
            "* * 429 5",
            "DELETE * cut",
            "GET * redirect https://other.example/",
            "POST * delay 1500ms",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said() {
        for (text, reason) in [
            ("", "it is empty; write METHOD PATH EFFECT"),
            ("get /x 500", "`get` is not a method; use GET, POST, PUT, PATCH, DELETE or *"),
            ("GET", "the path is missing"),
            ("GET groups 500", "the path `groups` must begin with / or *"),
            ("GET /x", "the effect is missing"),
            ("GET /x x2", "the effect is missing"),
            ("GET /x after soon 500", "`soon` is not a number"),
            ("GET /x 418", "`418` is not an effect"),
            ("GET /x delay", "`delay` needs a duration such as 2s"),
            ("GET /x cut now", "`now` stands behind the rule's end"),
            ("GET /x 429 5 6", "`6` stands behind the rule's end"),
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a fault rule: {reason}"));
        }
    }

    #[test]
    fn a_rule_waits_then_works_then_is_used_up() {
        let mut faults = Faults::default();
        faults.add("GET /x after 1 x2 500".parse().unwrap());
        let hits: Vec<bool> = (0..5).map(|_| faults.take("GET", "/x").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }

    #[test]
    fn a_used_up_rule_gives_way_to_the_next() {
        let mut faults = Faults::default();
        faults.add("GET /x x1 500".parse().unwrap());
        faults.add("GET * x1 cut".parse().unwrap());
        assert_eq!(faults.take("GET", "/x"), Some(Effect::Status(Failure::Crash)));
        assert_eq!(faults.take("POST", "/x"), None);
        assert_eq!(faults.take("GET", "/x"), Some(Effect::Cut));
    }

    #[test]
    fn stars_match_any_text() {
        assert!(glob("/groups/*/access_tokens", "/groups/a%2Fb/access_tokens"));
        assert!(!glob("/groups/*/access_tokens", "/groups/1/access_tokens/7"));
        assert!(glob("*", ""));
        assert!(glob("*/rotate", "/personal_access_tokens/self/rotate"));
    }
}
