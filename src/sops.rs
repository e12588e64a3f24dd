//! The SOPS engine.
mod document;
mod edit;
mod keys;
mod mac;
mod metadata;
mod path;
mod policy;
mod random;
mod re2;
mod render;
mod scalar;
mod selection;
mod time;
mod value;
pub use path::{Path, PathError, Segment};
