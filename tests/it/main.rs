//! All integration tests in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::use_debug, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests touch files, programs and the environment themselves")]

mod sops;
mod support;
