//! Pages for people: the form in which a person makes a personal token, with its fields filled in from the address
//! (`app/controllers/user_settings/personal_access_tokens_controller.rb` of GitLab), and what is shown once it is sent.
//!
//! There is nobody who is signed in: the form asks who one is, which GitLab knows from its session. GitLab's real form has
//! no parameter for the expiry either. Pages are no requests of the API: they are not in the log, and no fault breaks them.

use url::form_urlencoded;

use super::clock::day;
use super::mint::{Random, Wish};
use super::reply::Reply;
use super::scopes;
use super::service::Service;
use crate::secret::Secret;

const FORM: &str = "/-/user_settings/personal_access_tokens";
const LEGACY_FORM: &str = "/-/user_settings/personal_access_tokens/legacy/new";

/// A request for what is not the API.
pub(super) struct Visit<'a> {
    pub(super) method: &'a str,
    /// Behind the relative root.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
    /// The relative root, where links begin.
    pub(super) root: &'a str,
}

/// The page, or what is said after the form was sent.
pub(super) fn handle(service: &mut Service, visit: &Visit<'_>, random: &Random) -> Reply {
    // Since 18.9 the older form has a place of its own, and the list takes no fields.
    let moved = since_18_9(&service.gitlab.settings.version);
    match (visit.method, visit.path) {
        ("GET", LEGACY_FORM) if moved => form(service, &Fields::of_address(visit.query), visit, None),
        ("GET", FORM) if !moved => form(service, &Fields::of_address(visit.query), visit, None),
        ("GET", FORM) => {
            let link =
                format!("<a href=\"{}{LEGACY_FORM}\">Generate token: legacy</a>\n", escaped(visit.root));
            page(200, "Personal access tokens", &link)
        }
        ("POST", FORM) => send(service, &Fields::of_body(visit.body), visit, random),
        _ => page(404, "404", "<p>Page not found</p>\n"),
    }
}

fn since_18_9(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    // A version that cannot be read counts as newer.
    numbers.next().is_none_or(|major| (major, numbers.next().unwrap_or_default()) >= (18, 9))
}

/// What the form holds.
#[derive(Default)]
struct Fields {
    user: String,
    name: String,
    description: String,
    expires_at: String,
    scopes: Vec<String>,
}

impl Fields {
    /// As a link fills it in.
    fn of_address(query: &str) -> Self {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "name" => fields.name = value.into_owned(),
                "description" => fields.description = value.into_owned(),
                "scopes" => fields.scopes = value.split(',').map(|scope| scope.trim().to_owned()).collect(),
                _ => {}
            }
        }
        fields
    }

    /// As a person sent it.
    fn of_body(body: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "user" => fields.user = value.into_owned(),
                "personal_access_token[name]" => fields.name = value.into_owned(),
                "personal_access_token[description]" => fields.description = value.into_owned(),
                "personal_access_token[expires_at]" => fields.expires_at = value.into_owned(),
                "personal_access_token[scopes][]" => fields.scopes.push(value.into_owned()),
                _ => {}
            }
        }
        fields
    }
}

/// The form; `problem`: why it was not taken.
fn form(service: &Service, fields: &Fields, visit: &Visit<'_>, problem: Option<&str>) -> Reply {
    let gitlab = &service.gitlab;
    // What the instance does not have has no box to tick.
    let boxes = scopes::of_users(&gitlab.settings).into_iter().map(|scope| {
        let ticked = if fields.scopes.iter().any(|asked| asked == scope) { " checked" } else { "" };
        format!(
            "<input type=\"checkbox\" name=\"personal_access_token[scopes][]\" value=\"{scope}\"{ticked}> {scope}<br>\n"
        )
    });
    let people = gitlab.users.values().filter(|user| !user.bot);
    let people = people.map(|user| format!("<option>{}</option>", escaped(&user.username)));
    let problem = problem.map(|problem| format!("<p role=\"alert\">{}</p>\n", escaped(problem)));
    let body = format!(
        "{}<form method=\"post\" action=\"{}{FORM}\">\n\
         <p>Signed in as <select name=\"user\">{}</select></p>\n\
         <p>Name <input name=\"personal_access_token[name]\" value=\"{}\"></p>\n\
         <p>Description <input name=\"personal_access_token[description]\" value=\"{}\"></p>\n\
         <p>Expiration date <input type=\"date\" name=\"personal_access_token[expires_at]\" value=\"\"></p>\n\
         <p>{}</p>\n<button>Generate token</button>\n</form>\n",
        problem.unwrap_or_default(),
        escaped(visit.root),
        people.collect::<String>(),
        escaped(&fields.name),
        escaped(&fields.description),
        boxes.collect::<String>(),
    );
    page(200, "Add a personal access token", &body)
}

/// Makes the token, and shows it once.
fn send(service: &mut Service, fields: &Fields, visit: &Visit<'_>, random: &Random) -> Reply {
    match make(service, fields, random) {
        Ok(value) => {
            let shown = format!(
                "<p>Copy it now: you won't see it again.</p>\n\
                 <input id=\"created-personal-access-token\" readonly value=\"{}\">\n",
                value.expose()
            );
            page(200, "Your personal access token", &shown)
        }
        Err(problem) => form(service, fields, visit, Some(&problem)),
    }
}

fn make(service: &mut Service, fields: &Fields, random: &Random) -> Result<Secret, String> {
    let now = service.clock.now();
    let gitlab = &mut service.gitlab;
    let user = gitlab.users.values().find(|user| user.username == fields.user && !user.bot);
    let user = user.map(|user| user.id).ok_or("Nobody here is called so")?;
    let expires_at = match fields.expires_at.as_str() {
        "" => None,
        date => {
            Some(date.parse().ok().filter(|date| *date > day(now)).ok_or("Expires at is not a day to come")?)
        }
    };
    let known = scopes::of_users(&gitlab.settings);
    if fields.scopes.iter().any(|scope| !known.contains(&scope.as_str())) {
        return Err("Scopes can only contain available scopes".to_owned());
    }
    let wish = Wish {
        name: fields.name.clone(),
        description: Some(fields.description.clone()),
        scopes: fields.scopes.clone(),
        expires_at,
    };
    gitlab.mint_personal(user, wish, now, random).map(|(_, value)| value)
}

fn page(status: u16, title: &str, body: &str) -> Reply {
    Reply::html(
        status,
        &format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title} · GitLab (embedded)</title></head>\n\
             <body>\n<h1>{title}</h1>\n{body}</body></html>\n"
        ),
    )
}

/// As text and as the value of an attribute.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_address_says_cannot_become_markup() {
        assert_eq!(escaped("\"><script>&"), "&quot;&gt;&lt;script&gt;&amp;");
    }

    #[test]
    fn the_form_moved_with_18_9() {
        for (version, moved) in
            [("18.8.2-ee", false), ("18.9.0", true), ("19.6.0-ee", true), ("17.10", false)]
        {
            assert_eq!(since_18_9(version), moved, "{version}");
        }
    }
}
