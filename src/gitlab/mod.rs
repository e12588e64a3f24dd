//! GitLab over HTTP: the client, and (feature `emulator`) a GitLab of our own to try everything against.
//!
//! [`credential`] says what we may send and where, [`transport`] what one request and one reply are, [`http`] does
//! it for real, [`client`] adds repetition and time, [`tokens`] and [`owners`] are the routes, [`errors`] is what
//! GitLab's refusals mean.

pub mod client;
pub mod compare;
pub mod credential;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod errors;
mod hints;
pub mod http;
pub mod looks;
pub mod owners;
pub mod paging;
pub mod projects;
mod refusal;
pub mod routable;
pub mod tokens;
pub mod transport;
pub mod version;
mod wire;

#[cfg(test)]
mod fake;
