//! The SOPS engine against the stock binary, both ways.

mod comments;
mod editing;
mod random;
mod rekey;
mod scalars;
mod selection;
mod tampering;
mod values;
mod workshop;
