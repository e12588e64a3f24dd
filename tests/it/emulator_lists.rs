//! Lists of the embedded GitLab: pages, filters, orders, and what time does to tokens.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::emulator::{GROUP, Lab};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect()
}

/// Tokens `t00`, `t01`, … one hour apart.
fn with_tokens(count: usize) -> Lab {
    let lab = Lab::new();
    for number in 0..count {
        let wish = json!({"name": format!("t{number:02}"), "scopes": ["read_api"], "access_level": 30});
        assert_eq!(lab.post("operator", GROUP, wish).status, 201);
        lab.running.advance(SignedDuration::from_hours(1));
    }
    lab
}

#[test]
fn the_next_link_leads_through_all_pages() {
    let lab = with_tokens(25);
    let base = lab.running.url().to_owned();
    let mut path = format!("{GROUP}?state=active&per_page=10");
    let mut seen = Vec::new();
    let mut pages = Vec::new();
    loop {
        let answer = lab.get("operator", &path);
        seen.extend(answer.json().as_array().unwrap().iter().map(|token| token["id"].clone()));
        pages.push(answer.headers["x-page"].clone());
        assert_eq!(
            (answer.headers["x-total"].as_str(), answer.headers["x-total-pages"].as_str()),
            ("25", "3")
        );
        let next =
            answer.headers["link"].split(", ").find(|link| link.ends_with("rel=\"next\"")).map(str::to_owned);
        let Some(next) = next else {
            assert_eq!(answer.headers["x-next-page"], "");
            break;
        };
        let url = next.split(['<', '>']).nth(1).unwrap();
        assert!(url.contains("state=active"), "the filter is kept: {url}");
        path = url.strip_prefix(&format!("{base}/api/v4")).unwrap().to_owned();
    }
    seen.dedup();
    assert_eq!((seen.len(), pages), (25, vec!["1".to_owned(), "2".to_owned(), "3".to_owned()]));
}

#[test]
fn a_page_has_twenty_rows_and_never_more_than_a_hundred() {
    let lab = with_tokens(21);
    let page = lab.get("operator", GROUP);
    assert_eq!((page.json().as_array().unwrap().len(), page.headers["x-next-page"].as_str()), (20, "2"));
    assert_eq!(lab.get("operator", &format!("{GROUP}?per_page=500")).headers["x-per-page"], "100");
    assert_eq!(lab.get("operator", &format!("{GROUP}?page=9")).json(), json!([]));
    let wrong = lab.get("operator", &format!("{GROUP}?page=one"));
    assert_eq!((wrong.status, wrong.json()), (400, json!({"error": "page is invalid"})));
}

#[test]
fn filters_choose_and_orders_arrange() {
    let lab = with_tokens(4);
    let list = lab.get("operator", GROUP).json();
    let id = |index: usize| list[index]["id"].as_u64().unwrap();
    lab.delete("operator", &format!("{GROUP}/{}", id(0)));
    let far = json!({"name": "Short", "scopes": ["read_api"], "expires_at": "2026-12-01"});
    lab.post("operator", GROUP, far);
    for (query, expected) in [
        ("", vec!["t00", "t01", "t02", "t03", "Short"]),
        ("state=active", vec!["t01", "t02", "t03", "Short"]),
        ("state=inactive", vec!["t00"]),
        ("revoked=true", vec!["t00"]),
        ("revoked=false&search=T0", vec!["t01", "t02", "t03"]),
        ("created_after=2026-11-21T10:00:00Z", vec!["t02", "t03", "Short"]),
        ("created_before=2026-11-21T09:00:00Z", vec!["t00", "t01"]),
        ("expires_before=2026-12-01", vec!["Short"]),
        ("expires_after=2026-12-02&sort=name_desc", vec!["t03", "t02", "t01", "t00"]),
        ("sort=created_desc", vec!["Short", "t03", "t02", "t01", "t00"]),
        ("sort=expires_asc&per_page=1", vec!["Short"]),
        ("sort=sideways&per_page=1", vec!["t00"]),
        ("last_used_after=2020-01-01", vec![]),
    ] {
        assert_eq!(names(&lab.get("operator", &format!("{GROUP}?{query}")).json()), expected, "{query}");
    }
    let wrong = lab.get("operator", &format!("{GROUP}?state=alive"));
    assert_eq!(wrong.json(), json!({"error": "state does not have a valid value"}));
    let wrong = lab.get("operator", &format!("{GROUP}?created_after=then&revoked=perhaps"));
    assert_eq!(wrong.json(), json!({"error": "revoked is invalid, created_after is invalid"}));
}

#[test]
fn a_token_dies_at_midnight_utc_of_its_day() {
    let lab = Lab::new();
    let made =
        lab.post("operator", GROUP, json!({"name": "n", "scopes": ["api"], "expires_at": "2026-11-23"}));
    let value = made.token();
    lab.running.set_time("2026-11-22T23:59:59Z".parse().unwrap());
    assert_eq!(lab.get(&value, "/personal_access_tokens/self").json()["active"], true);
    lab.running.advance(SignedDuration::from_secs(1));
    let dead = lab.get(&value, "/personal_access_tokens/self");
    assert_eq!(dead.status, 401);
    assert!(dead.text.contains("Token is expired"));
    assert_eq!(dead.headers["date"], "Mon, 23 Nov 2026 00:00:00 GMT");
    assert_eq!(lab.get("operator", &format!("{GROUP}/{}", made.id())).json()["active"], false);
}

#[test]
fn the_last_use_moves_every_ten_minutes() {
    let lab = Lab::new();
    let (id, value) = lab.mint(&["api"]);
    let used = || {
        assert_eq!(lab.get(&value, "/personal_access_tokens/self").status, 200);
        lab.row(id)["last_used_at"].clone()
    };
    assert_eq!(lab.row(id)["last_used_at"], Value::Null);
    assert_eq!(used(), "2026-11-21T08:00:00.000Z");
    lab.running.advance(SignedDuration::from_mins(9));
    assert_eq!(used(), "2026-11-21T08:00:00.000Z");
    lab.running.advance(SignedDuration::from_mins(1));
    assert_eq!(used(), "2026-11-21T08:10:00.000Z");
}
