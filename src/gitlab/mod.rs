//! GitLab over HTTP: the client, and (feature `emulator`) a GitLab of our own to try everything against.

#[cfg(feature = "emulator")]
pub mod emulator;
