//! The SOPS engine.
mod keys;
mod path;
mod random;
mod re2;
mod scalar;
mod selection;
mod time;
mod value;
pub use path::{Path, PathError, Segment};
