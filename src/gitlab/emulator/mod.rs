//! A GitLab of our own on loopback: for tests, for the demo, and for newcomers who want to try before they trust.
//!
//! It answers as GitLab's source does (statuses, bodies, headers, pages, roles, scopes, expiry, reuse detection), and
//! shares nothing with our client but the words of [`crate::token`], so that each can be held against the other.
//!
//! Handling is pure: `state`, the request, the time and random bytes go in, a reply comes out. Only `running`,
//! `server`, `wire` and `clock` touch the outside. A further kind of credential is one more file with a `route` function.

mod access;
mod branches;
mod clock;
mod code;
mod control;
mod directory;
mod faults;
mod filter;
mod lifetime;
mod merge_requests;
mod mint;
mod pages;
mod paging;
mod personal_tokens;
mod present;
mod refusal;
mod reply;
mod repository;
mod request;
mod resource_tokens;
mod route;
mod running;
mod scopes;
mod seed;
mod server;
mod service;
mod state;
mod throttle;
mod value;
mod wire;

pub use faults::{GRAMMAR, Rule, RuleError};
pub use running::{Config, Emulator, Running, StartError, Time};
pub use seed::{Seed, SeedError};
