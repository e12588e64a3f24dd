//! The SOPS engine against the stock binary, both ways.

mod comments;
mod documents;
mod editing;
mod formats;
mod random;
mod random_formats;
mod scalars;
mod tampering;
mod values;
mod workshop;
