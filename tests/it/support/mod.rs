//! What integration tests share: the stock sops, hermetic directories.

pub(crate) mod sops;
