//! JSON Schema of a profile, for editors. The reader in `read` decides; the schema says what
//! JSON Schema can say. It is stricter in one point: a text that looks like a number needs quotes.

use schemars::{Schema, json_schema};
use serde_json::{Value, json};

use super::read::DEFAULT_GITLAB;
use super::scope;
use crate::token::{Kind, Role};

/// The schema as pretty-printed JSON (draft-07, which every YAML language server reads), with a final newline.
#[must_use]
pub fn json() -> String {
    format!("{:#}\n", schema().to_value())
}

fn schema() -> Schema {
    json_schema!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Environment of provision",
        "description": "What should exist: GitLab tokens, and the SOPS files that keep them (environments/*.yaml).",
        "type": "object",
        "additionalProperties": false,
        "required": ["secrets", "tokens"],
        "properties": {
            "gitlab": {
                "description": "Address of the GitLab instance, with its relative root where it has one.",
                "type": "string",
                "default": DEFAULT_GITLAB,
                "examples": [DEFAULT_GITLAB, "https://example.com/gitlab"],
            },
            "secrets": {
                "description": "The SOPS file that keeps the tokens, or a list of them.",
                "anyOf": [
                    { "$ref": "#/definitions/secrets" },
                    { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/secrets" } },
                ],
            },
            "tokens": {
                "description": "Tokens that should exist, by the key under which templates name them \
                                (`tokens.backstage`).",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": 64 },
                "additionalProperties": { "$ref": "#/definitions/token" },
            },
        },
        "definitions": { "secrets": secrets_file(), "token": token() },
    })
}

fn secrets_file() -> Value {
    json!({
        "description": "One SOPS-encrypted file.",
        "type": "object",
        "additionalProperties": false,
        "required": ["file", "template"],
        "properties": {
            "file": {
                "description": "Path relative to the repository's root. `{user}` stands for the GitLab user name, \
                                in files with `recipients: self`.",
                "type": "string",
                "minLength": 1,
                "pattern": "^[^/]",
                "examples": ["secrets/qa.sops.yaml", "secrets/devmode/{user}.sops.yaml"],
            },
            "template": {
                "description": "Name of a file in templates/.",
                "type": "string",
                "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
                "examples": ["backstage.yaml"],
            },
            "recipients": {
                "description": "Who can read the file: those that .sops.yaml names, or only the identities of the \
                                person who runs provision.",
                "enum": ["policy", "self"],
                "default": "policy",
            },
            "commit": {
                "description": "false keeps the file out of git.",
                "type": "boolean",
                "default": true,
            },
        },
    })
}

fn token() -> Value {
    json!({
        "description": "One token.",
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "scopes"],
        "properties": {
            "kind": {
                "description": "Whose token it is. `group` and `project` are understood from the key of that name.",
                "enum": [Kind::Personal, Kind::Group, Kind::Project],
            },
            "group": {
                "description": "Full path of the group.",
                "type": "string",
                "examples": ["alithya-csna"],
            },
            "project": {
                "description": "Full path of the project.",
                "type": "string",
                "pattern": "/",
                "examples": ["alithya-csna/backstage"],
            },
            "name": {
                "description": "The name that GitLab shows.",
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "examples": ["Backstage (qa.alithya-mws.com)"],
            },
            "role": {
                "description": "What the token may do in its group or project; not for personal tokens.",
                "enum": Role::ALL,
            },
            "scopes": scopes(),
            "expires": {
                "description": "max: the longest that the instance allows. never: no end, where the instance allows \
                                that. A duration of whole days, or the date on which it ends at 00:00 UTC.",
                "type": "string",
                "default": "max",
                "examples": ["max", "never", "90d", "P1Y", "2027-06-30"],
            },
            "renew_before": {
                "description": "How long before its end the token is due for renewal, in whole days; never more \
                                than a third of its life.",
                "type": "string",
                "default": "30d",
                "examples": ["30d", "P2W"],
            },
            "overlap": {
                "description": "How long a superseded token lives after its successor is upstream.",
                "type": "string",
                "default": "24h",
                "examples": ["24h", "7d", "0s"],
            },
            "strategy": {
                "description": "replace: mint, verify, commit, retire the old one later. in-place: GitLab's rotate, \
                                which keeps the bot user and kills the old value at once.",
                "enum": ["replace", "in-place"],
                "default": "replace",
            },
            "moved_from": {
                "description": "The key that this entry had before, where it was renamed: its token stays.",
                "type": "string",
                "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$",
            },
        },
        "if": { "required": ["kind"], "properties": { "kind": { "const": Kind::Personal } } },
        "then": { "properties": { "group": false, "project": false, "role": false } },
        "else": {
            "required": ["role"],
            "oneOf": [{ "required": ["group"] }, { "required": ["project"] }],
        },
    })
}

/// Scopes that this version does not know are allowed, as a newer GitLab may have them; the reader finds slips.
fn scopes() -> Value {
    json!({
        "description": "What the token may do (read_user, sudo, admin_mode and read_service_ping: personal tokens \
                        only).",
        "type": "array",
        "minItems": 1,
        "uniqueItems": true,
        "items": {
            "type": "string",
            "anyOf": [
                { "enum": scope::offered().collect::<Vec<_>>() },
                { "pattern": "^[a-z][a-z0-9_]*$" },
            ],
        },
        "examples": [["read_api", "read_repository", "write_repository"]],
    })
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
