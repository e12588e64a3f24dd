//! The SOPS engine against the stock binary, both ways.

mod aliases;
mod bad_input;
mod block_scalars;
mod case;
mod comments;

mod documents;
mod editing;
mod formats;
mod groups;
mod ini;
mod marker_edits;
mod markers;
mod memory;
mod mixed;
mod random;
mod random_corners;
mod random_formats;
mod random_policy;
mod rekey;
mod rekey_formats;
mod reveal;
mod scalars;
mod second_reader;
mod selection;
mod tamper_formats;
mod tampering;
mod values;
mod workshop;
