"""Drives every route of the embedded GitLab through python-gitlab: first what works, then what is refused."""

import json
import os
import re
import sys
import urllib.request

import gitlab

EMULATOR = json.loads(os.environ["GITLAB_EMULATOR"])
URL = EMULATOR["url"]
checks = 0


def check(what, got, wanted=True):
    global checks
    if got != wanted:
        sys.exit(f"python-gitlab: {what}: got {got!r}, wanted {wanted!r}")
    checks += 1


def refused(what, status, text, act):
    """`act` fails with this status; the text stands in the body, as the client hands it on."""
    try:
        act()
    except gitlab.GitlabError as error:
        check(f"{what}: status", error.response_code, status)
        body = error.response_body.decode()
        check(f"{what}: {body} has {text!r}", text in body)
    else:
        sys.exit(f"python-gitlab: {what}: accepted, wanted {status}")


def client(token, **options):
    return gitlab.Gitlab(URL, private_token=token, retry_transient_errors=False, **options)


operator = client(EMULATOR["token"])
admin = client(EMULATOR["admin_token"])
developer = client(EMULATOR["tokens"]["developer"])


def life_of_a_resource_token(parent, other_parent):
    wish = {"name": "Backstage (qa)", "scopes": ["read_api", "self_rotate"], "access_level": 30,
            "expires_at": "2027-06-30", "description": "provision:0f"}
    made = parent.access_tokens.create(wish)
    for field in ("name", "access_level", "expires_at", "description", "scopes"):
        check(f"made: {field}", getattr(made, field), wish[field])
    check("made: active", (made.active, made.revoked), (True, False))
    check("value", bool(re.fullmatch(r"glpat-[0-9A-Za-z_-]{27,300}\.01\.[0-9a-z]{9}", made.token)))

    bot = client(made.token)
    own = bot.personal_access_tokens.get("self")
    check("self: id", own.id, made.id)
    check("self: scopes", set(own.scopes), set(wish["scopes"]))
    bot.auth()
    check("the bot's name", bot.user.username.startswith(f"{made.resource_type}_{parent.id}_bot_"))

    shown = parent.access_tokens.get(made.id)
    check("shown without its value", hasattr(shown, "token"), False)
    refused("a token of another resource", 404, "Access Token Not Found", lambda: other_parent.access_tokens.get(made.id))

    first_value = made.token
    shown.rotate(expires_at="2027-05-01")
    check("rotated: a new number", shown.id != made.id)
    check("rotated: the same bot", (shown.user_id, shown.description), (made.user_id, made.description))
    check("rotated: expiry", shown.expires_at, "2027-05-01")
    refused("the old value", 401, "revoked", lambda: client(first_value).personal_access_tokens.get("self"))
    refused("rotating the old number", 400, "Token already revoked", lambda: parent.access_tokens.rotate(made.id))

    # Self-rotation by the token itself.
    bot = client(shown.token)
    lazy = (bot.groups if made.resource_type == "group" else bot.projects).get(parent.id, lazy=True)
    third = lazy.access_tokens.rotate("self")
    check("self-rotated: one week", third["expires_at"], "2026-11-28")
    person = operator.groups if made.resource_type == "group" else operator.projects
    refused("self-rotation by a person", 405, "405 Method Not Allowed",
            lambda: person.get(parent.id, lazy=True).access_tokens.rotate("self"))

    parent.access_tokens.delete(third["id"])
    check("revoked", parent.access_tokens.get(third["id"]).active, False)
    refused("revoking what is not there", 404, "Access Token Not Found", lambda: parent.access_tokens.delete(999999))

    for number in range(25):
        parent.access_tokens.create({"name": f"page {number}", "scopes": ["read_api"], "access_level": 20})
    every = parent.access_tokens.list(get_all=True)
    check("all pages", len(every), 28)
    pages = parent.access_tokens.list(iterator=True, per_page=10, state="active")
    check("totals", (pages.total, pages.total_pages, pages.per_page), (25, 3, 10))
    check("active ones", len(list(pages)), 25)
    check("inactive ones", len(parent.access_tokens.list(state="inactive", get_all=True)), 3)
    check("searched", len(parent.access_tokens.list(search="PAGE 1", get_all=True)), 11)


def refusals_of_a_resource(word, parent, seen_by_developer):
    create = parent.access_tokens.create
    good = {"name": "n", "scopes": ["read_api"], "access_level": 30}
    for change, text in [
        ({"scopes": ["apo"]}, "scopes does not have a valid value"),
        ({"scopes": ["read_user"]}, "scopes does not have a valid value"),
        ({"access_level": 35}, "access_level does not have a valid value"),
        ({"expires_at": "2027-11-22"}, "Expires at must be before 2027-11-21"),
        ({"expires_at": "soon"}, "expires_at is invalid"),
        ({"description": "d" * 256}, "Description is too long"),
        ({"name": ""}, "Name can't be blank"),
    ]:
        refused(f"{word}: {change}", 400, text, lambda change=change: create({**good, **change}))
    tokens = seen_by_developer.access_tokens
    refused(f"{word}: list by a developer", 401, "401 Unauthorized", lambda: tokens.list(get_all=True))
    refused(f"{word}: create by a developer", 400, f"permission to create {word} access token", lambda: tokens.create(good))
    made = create(good)
    refused(f"{word}: get by a developer", 401, "401 Unauthorized", lambda: tokens.get(made.id))
    refused(f"{word}: rotate by a developer", 401, "401 Unauthorized", lambda: tokens.rotate(made.id))
    refused(f"{word}: delete by a developer", 400, "cannot delete", lambda: tokens.delete(made.id))
    parent.access_tokens.delete(made.id)


def personal_tokens():
    dev = admin.users.list(username="dev", get_all=True)[0]
    check("a user by number", admin.users.get(dev.id).username, "dev")
    made = dev.personal_access_tokens.create({"name": "localhost", "scopes": ["read_user", "read_api"]})
    check("the default expiry", made.expires_at, "2027-11-21")
    check("whose", client(made.token).http_get("/user")["username"], "dev")
    check("listed", made.id in [token.id for token in developer.personal_access_tokens.list(get_all=True)])
    check("listed for an administrator", len(admin.personal_access_tokens.list(user_id=dev.id, get_all=True)), 2)
    rotated = developer.personal_access_tokens.rotate(made.id, expires_at="2027-02-01")
    check("rotated", rotated["expires_at"], "2027-02-01")
    check("shown", developer.personal_access_tokens.get(rotated["id"]).active)
    developer.personal_access_tokens.delete(rotated["id"])
    refused("another's token", 401, "401 Unauthorized", lambda: operator.personal_access_tokens.get(rotated["id"]))
    refused("another's list", 401, "401 Unauthorized",
            lambda: operator.personal_access_tokens.list(user_id=dev.id, get_all=True))
    refused("nobody's token", 404, "404 Not Found", lambda: admin.personal_access_tokens.get(999999))
    refused("withdrawing another's", 400, "Not permitted to revoke",
            lambda: operator.personal_access_tokens.delete(rotated["id"]))
    refused("made by no administrator", 403, "403 Forbidden",
            lambda: operator.users.get(dev.id, lazy=True).personal_access_tokens.create({"name": "n", "scopes": ["api"]}))

    harmless = developer.http_post("/user/personal_access_tokens", post_data={"name": "own", "scopes": ["self_rotate"]})
    refused("more than harmless", 400, "scopes does not have a valid value",
            lambda: developer.http_post("/user/personal_access_tokens", post_data={"name": "own", "scopes": ["api"]}))
    own = client(harmless["token"])
    refused("a scope too small", 403, "insufficient_scope", lambda: own.http_get("/user"))
    next_one = own.personal_access_tokens.rotate("self")
    client(next_one["token"]).personal_access_tokens.delete("self")
    refused("withdrawn by itself", 401, "revoked", lambda: client(next_one["token"]).personal_access_tokens.get("self"))


def directory():
    group = operator.groups.get("alithya-csna/platform")
    check("a group by path", (group.full_path, group.parent_id), ("alithya-csna/platform", 101))
    project = operator.projects.get("alithya-csna/backstage")
    check("a project by path", project.path_with_namespace, "alithya-csna/backstage")
    check("an inherited member", operator.groups.get(group.id, lazy=True).members_all.get(2).access_level, 50)
    check("a project's member", project.members_all.get(3).access_level, 30)
    check("a file", b"kind: Component" in project.files.raw(file_path="catalog-info.yaml", ref="main"))
    refused("no file", 404, "404 File Not Found", lambda: project.files.raw(file_path="none", ref="main"))
    refused("no member", 404, "404 Not found", lambda: project.members_all.get(1))
    refused("a hidden group", 404, "404 Group Not Found", lambda: operator.groups.get("elsewhere"))
    refused("no project", 404, "404 Project Not Found", lambda: operator.projects.get("alithya-csna/none"))
    check("version", operator.version()[0], "19.6.0-ee")
    check("metadata", operator.http_get("/metadata")["enterprise"])
    refused("no route", 404, "404 Not Found", lambda: operator.http_get("/nope"))
    refused("no token", 401, "401 Unauthorized", lambda: gitlab.Gitlab(URL).http_get("/user"))
    refused("an unknown token", 401, "401 Unauthorized", lambda: client("glpat-unknown").auth())
    bearer = gitlab.Gitlab(URL, oauth_token=EMULATOR["token"])
    bearer.auth()
    check("the same token as a bearer", bearer.user.username, "maude")


def pushed(project, branch, commit):
    """Says what git would have pushed: the emulator has no repository."""
    body = json.dumps({"project": project, "branch": branch, "commit": commit}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{URL}/_emulator/push", body, {"content-type": "application/json"}))


def branches_and_merge_requests():
    project = operator.projects.get("alithya-csna/platform/charts")
    theirs = developer.projects.get(project.id, lazy=True)
    refused("no branch yet", 404, "404 Branch Not Found", lambda: project.branches.get("main"))
    pushed(project.path_with_namespace, "main", "1" * 40)
    pushed(project.path_with_namespace, "provision/qa", "2" * 40)
    main = project.branches.get("main")
    check("the first branch", (main.default, main.protected, main.can_push, main.commit["id"]), (True, True, True, "1" * 40))
    check("main for a developer", theirs.branches.get("main").can_push, False)
    topic = theirs.branches.get("provision/qa")
    check("another branch", (topic.default, topic.protected, topic.can_push), (False, False, True))
    check("all branches", [branch.name for branch in project.branches.list(get_all=True)], ["main", "provision/qa"])

    rule = project.protectedbranches.get("main")
    check("who may push", [level["access_level"] for level in rule.push_access_levels], [40])
    refused("protection for a developer", 403, "403 Forbidden", lambda: theirs.protectedbranches.list(get_all=True))
    refused("protected twice", 409, "already exists", lambda: project.protectedbranches.create({"name": "main"}))
    project.protectedbranches.delete("main")
    project.protectedbranches.create({"name": "ma*", "push_access_level": 0})
    check("nobody", project.branches.get("main").can_push, False)
    check("all rules", [rule.name for rule in project.protectedbranches.list(get_all=True)], ["ma*"])

    wish = {"source_branch": "provision/qa", "target_branch": "main", "title": "mint"}
    request = theirs.mergerequests.create(wish)
    check("opened", (request.state, request.sha, request.source_project_id), ("opened", "2" * 40, project.id))
    refused("opened twice", 409, "Another open merge request already exists", lambda: theirs.mergerequests.create(wish))
    pushed(project.path_with_namespace, "provision/qa", "3" * 40)
    check("follows its branch", project.mergerequests.get(request.iid).sha, "3" * 40)
    request.state_event = "close"
    request.save()
    check("closed", request.state, "closed")
    refused("merging a closed one", 405, "405 Method Not Allowed", project.mergerequests.get(request.iid).merge)
    second = theirs.mergerequests.create(wish)
    refused("merging by a developer", 401, "401 Unauthorized", second.merge)
    project.mergerequests.get(second.iid).merge()
    found = project.mergerequests.list(source_branch="provision/qa", get_all=True)
    check("the newest first", [(one.iid, one.state) for one in found], [(2, "merged"), (1, "closed")])
    check("none of another branch", project.mergerequests.list(source_branch="main", get_all=True), [])
    check("closed ones", [one.iid for one in project.mergerequests.list(state="closed", get_all=True)], [1])


def every_route(path):
    """Compares the emulator's log with the list of routes."""
    with urllib.request.urlopen(f"{URL}/_emulator/state") as reply:
        log = json.load(reply)["requests"]
    driven = {f"{entry['method']} {entry['path']}" for entry in log if (entry["status"] or 500) < 400}
    for line in open(path, encoding="utf-8"):
        if line.startswith("#"):
            continue
        pattern = re.sub(":id|:name|:file", "[^/]+", re.sub(":token|:user|:iid", "[0-9]+", re.escape(line.strip())))
        check(f"{line.strip()} was driven", any(re.fullmatch(pattern, request) for request in driven))


group, project = operator.groups.get("alithya-csna"), operator.projects.get("alithya-csna/backstage")
life_of_a_resource_token(group, operator.groups.get("toccoag"))
life_of_a_resource_token(project, operator.projects.get("toccoag/tocco-client"))
refusals_of_a_resource("group", group, developer.groups.get(group.id, lazy=True))
refusals_of_a_resource("project", project, developer.projects.get(project.id, lazy=True))
personal_tokens()
directory()
branches_and_merge_requests()
every_route(sys.argv[1])
print(f"python-gitlab: {checks} checks passed")
