//! `provision`: GitLab tokens from a declarative profile into SOPS files in git, as one transaction.
//!
//! Deciding is separate from doing. The **core** is pure: it reads no clock, no file, no environment variable.
//! The **shell** does things: what a run makes, writes, commits and pushes goes through [`world`]. The **face** is what a
//! person sees.
//! ARCHITECTURE.md has the code map and the invariants.

// -- core ---------------------------------------------------------------------------------------------------
pub mod checks;
pub mod cores;
pub mod environ;
pub mod error;
pub mod hint;
pub mod instance;
pub mod journal;
pub mod lock;
pub mod plan;
pub mod problem;
pub mod profile;
pub mod readership;
pub mod secret;
pub mod sops;
pub mod template;
pub mod token;
pub mod yaml;

// -- shell --------------------------------------------------------------------------------------------------
pub mod apply;
pub mod deliver;
pub mod gitlab;
pub mod keyservice;
pub mod observe;
pub mod repo;
pub mod world;

// -- face ---------------------------------------------------------------------------------------------------
pub mod cli;
pub mod commands;
mod explain;
pub mod ui;
