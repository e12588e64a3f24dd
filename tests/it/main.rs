//! All integration tests in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::use_debug, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests touch files, programs and the environment themselves")]

mod check;
mod client_faults;
mod client_gitlab;
mod client_http;
mod cmd;
mod crash;
mod crash_cases;
mod crash_delivery;
mod crash_killed;
mod crash_leaks;
mod crash_story;
mod deliver_files;
mod deliver_tokens;
mod diff;
mod doctor;
mod emulator;
mod emulator_command;
mod emulator_contract;
mod emulator_faults;
mod emulator_lists;
mod emulator_refusals;
mod exec;
mod git_commit;
mod git_commit_hooks;
mod git_commit_index;
mod git_commit_places;
mod git_commit_refusals;
mod git_commit_sign;
mod git_commit_signals;
mod hook;
mod personal;
mod profile_shipped;
mod provision;
mod refusals_commit;
mod refusals_gitlab;
mod refusals_trouble;
mod repo_driver;
mod repo_read;
mod repo_sandbox;
mod repo_write;
mod show;
mod sops;
mod support;
mod tidy;
