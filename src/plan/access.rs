//! What a person asks for who wants to read more: to become one of the readers that the policy names.

use serde::Serialize;

use super::request::{RequestText, code};
use crate::profile::{Environment, Recipients, UserName};
use crate::sops::{Policy, PolicyEdit, PolicyEditError, Recipient, Rule};
use crate::yaml::Position;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Requested {
    /// It would be made.
    Planned(Access),
    /// It waits for a maintainer.
    Open {
        /// Who asks for what.
        #[serde(flatten)]
        access: Access,
        /// Where the merge request's branch is: `provision/access-ana at origin`.
        to: String,
        /// Its address, where the remote said it.
        merge_request: Option<String>,
    },
    /// An earlier one waits for a maintainer, and asks for all of it.
    Asked {
        /// Its branch.
        branch: String,
    },
    /// The key reads all of it.
    Reader {
        /// What the policy calls it.
        name: Option<String>,
    },
    /// Nobody else's files are meant.
    Personal,
}

/// Who asks to read what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// What the person is called in the policy.
    pub name: String,
    /// The key.
    pub recipient: String,
    /// The environments that were asked for.
    pub environments: Vec<String>,
    /// Their files that the person cannot read yet.
    pub files: Vec<String>,
}

/// What there is to do about a request.
#[derive(Debug)]
pub enum Planned {
    /// This change of the policy, and the policy with it.
    New(Access, String),
    /// Nothing: the open request has it already.
    Asked,
    /// Nothing: upstream's policy has it already.
    Reader(Option<String>),
}

/// A name that can stand in a policy and in the name of a branch: letters, digits, `-` and `_`; everything else becomes
/// a hyphen.
#[must_use]
pub fn name(called: &str) -> String {
    called
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
        .collect()
}

/// The environments of these whose files are for more than one person each.
#[must_use]
pub fn shared(wanted: &[Environment]) -> Vec<Environment> {
    let is_shared = |one: &&Environment| one.secrets.iter().any(|file| file.recipients == Recipients::Policy);
    wanted.iter().filter(is_shared).cloned().collect()
}

/// What is to be done so that the person can read the files of `wanted`. `policy` is the one that would be changed, which an
/// open request may have changed already; `upstream` is what everybody goes by. A rule may be for more than what was asked
/// for: those of the files in `shared` count too.
///
/// # Errors
/// Where the policy has no rule for a file, or cannot be changed in this way.
pub fn plan(
    wanted: &[Environment],
    called: &str,
    recipient: &Recipient,
    policy: &str,
    upstream: &str,
    shared: &[String],
) -> Result<Planned, PolicyEditError> {
    let parsed = Policy::parse(policy)?;
    let mut access = Access {
        name: called.to_owned(),
        recipient: recipient.to_string(),
        environments: wanted.iter().map(|environment| environment.name.clone()).collect(),
        files: Vec::new(),
    };
    let (rules, files) = lacking(wanted, called, recipient, &parsed)?;
    if rules.is_empty() {
        let upstream = Policy::parse(upstream)?;
        if !lacking(wanted, called, recipient, &upstream)?.0.is_empty() {
            return Ok(Planned::Asked);
        }
        return Ok(Planned::Reader(upstream.names().of_recipient(recipient).map(str::to_owned)));
    }
    access.files = files;
    let name = Some(access.name.clone());
    for file in shared {
        let rule = parsed.rule_for(file).ok().and_then(Rule::position);
        if rule.is_some_and(|rule| rules.contains(&rule)) && !access.files.contains(file) {
            access.files.push(file.clone());
        }
    }
    let edit = PolicyEdit::Add { recipient: recipient.clone(), name, rules, group: None };
    Ok(Planned::New(access, edit.apply(policy)?))
}

/// The rules of the wanted files that do not have the key, and those files.
fn lacking(
    wanted: &[Environment],
    called: &str,
    recipient: &Recipient,
    policy: &Policy,
) -> Result<(Vec<Position>, Vec<String>), PolicyEditError> {
    let user: Option<UserName> = called.parse().ok();
    let of_policy = |environment: &Environment| {
        let files = environment.secrets.iter().filter(|secrets| secrets.recipients == Recipients::Policy);
        files.filter_map(|secrets| secrets.path_for(user.as_ref())).collect::<Vec<_>>()
    };
    let (mut rules, mut files) = (Vec::new(), Vec::new());
    for file in wanted.iter().flat_map(of_policy) {
        let rule = policy.rule_for(&file)?;
        if rule.recipients().contains(recipient) {
            continue;
        }
        rules.extend(rule.position().filter(|position| !rules.contains(position)));
        files.push(file);
    }
    Ok((rules, files))
}

impl Requested {
    /// For the person who asks; `called` is what they want to be called.
    #[must_use]
    pub fn text(&self, called: &str) -> String {
        match self {
            Self::Planned(access) => access.text(),
            Self::Open { to, merge_request, .. } => {
                let request =
                    merge_request.as_ref().map(|url| format!(", merge request {url}")).unwrap_or_default();
                format!("access: pushed to {to}{request}")
            }
            Self::Asked { branch } => format!("access: asked already: {branch} waits for a maintainer"),
            Self::Reader { name: Some(name) } if name != called => {
                format!("access: this key is a reader already, as {name}")
            }
            Self::Reader { name: Some(name) } => format!("access: {name} is a reader already"),
            Self::Reader { name: None } => "access: this key is a reader already".to_owned(),
            Self::Personal => "access: there is nothing to ask for".to_owned(),
        }
    }
}

impl Access {
    /// For the person who asks.
    #[must_use]
    pub fn text(&self) -> String {
        format!("access: {} asks to read {}, with {}", self.name, self.files.join(", "), self.recipient)
    }

    /// The commit's message.
    #[must_use]
    pub fn message(&self) -> String {
        format!(
            "Let {} read {}\n\nA request: {}\nbecomes a reader of {}.\n",
            self.name,
            self.environments.join(", "),
            self.recipient,
            self.files.join(", ")
        )
    }

    /// What the maintainer reads.
    #[must_use]
    pub fn request(&self) -> RequestText {
        let mut lines = vec![format!("{} asks to become a reader of:", code(&self.name)), String::new()];
        lines.extend(self.files.iter().map(|file| format!("- {}", code(file))));
        lines.extend([
            String::new(),
            format!("with the key {}", code(&self.recipient)),
            String::new(),
            "Ask the person, in another way than this request, whether that is their key. Whoever merges this lets its \
             owner read every value of these files once they are rekeyed."
                .to_owned(),
        ]);
        RequestText { title: format!("Let {} read {}", self.name, self.environments.join(", ")), lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::generate_identity;

    const POLICY: &str = "\
keys:
  - &ana age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
creation_rules:
  - path_regex: ^secrets/qa
    age:
      - *ana
  - path_regex: ^secrets/dev
    age:
      - *ana
";

    fn environment(name: &str) -> Environment {
        let text = format!(
            "gitlab: https://gitlab.example.com\nsecrets: {{ file: secrets/{name}.sops.yaml, template: t.yaml }}\n\
             tokens: {{ t: {{ kind: group, group: g, name: n, role: developer, scopes: [api] }} }}\n"
        );
        Environment::read(name, "p", &text).unwrap()
    }

    fn new(recipient: &Recipient, shared: &[String]) -> (Access, String) {
        match plan(&[environment("qa")], "bo", recipient, POLICY, POLICY, shared).unwrap() {
            Planned::New(access, text) => (access, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_rules_of_what_was_asked_for_get_the_new_reader() {
        let (_, recipient) = generate_identity();
        let (access, text) = new(&recipient, &[]);
        assert_eq!(access.files, ["secrets/qa.sops.yaml"]);
        let policy = Policy::parse(&text).unwrap();
        assert!(policy.rule_for("secrets/qa.sops.yaml").unwrap().recipients().contains(&recipient));
        assert!(!policy.rule_for("secrets/dev.sops.yaml").unwrap().recipients().contains(&recipient));
        let again = |upstream| plan(&[environment("qa")], "bo", &recipient, &text, upstream, &[]).unwrap();
        assert!(matches!(again(POLICY), Planned::Asked), "the open request has it, upstream has not");
        assert!(matches!(again(&text), Planned::Reader(Some(name)) if name == "bo"));
    }

    #[test]
    fn what_else_the_rule_is_for_is_in_the_request() {
        let (_, recipient) = generate_identity();
        let shared = ["secrets/dev.yaml", "secrets/qa-2.yaml"].map(str::to_owned);
        let (access, _) = new(&recipient, &shared);
        assert_eq!(access.files, ["secrets/qa.sops.yaml", "secrets/qa-2.yaml"]);
        assert!(access.request().description().contains("`secrets/qa-2.yaml`"));
    }

    #[test]
    fn the_reviewer_reads_whose_key_it_is_and_that_it_has_to_be_asked_for() {
        let (_, recipient) = generate_identity();
        let (access, _) = new(&recipient, &[]);
        let text = access.request().description();
        assert!(text.contains(&recipient.to_string()) && text.contains("in another way"), "{text}");
    }

    #[test]
    fn a_name_becomes_one_that_a_policy_and_a_branch_can_have() {
        assert_eq!(name("ana.b@c"), "ana-b-c");
    }
}
