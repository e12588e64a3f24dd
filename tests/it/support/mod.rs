//! What integration tests share: the stock sops, hermetic directories.

pub(crate) mod canaries;
pub(crate) mod desk;
pub(crate) mod fault;
pub(crate) mod faulty;
pub(crate) mod form;
pub(crate) mod gitlab;
pub(crate) mod gnupg;
pub(crate) mod guest;
pub(crate) mod guide;
pub(crate) mod holder;
pub(crate) mod http;
pub(crate) mod key_service;
pub(crate) mod lab;
pub(crate) mod log;
pub(crate) mod newcomer;
pub(crate) mod people;
pub(crate) mod plugin;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod refusal;
pub(crate) mod scenarios;
pub(crate) mod shell;
pub(crate) mod sops;
mod story;
pub(crate) mod team;
pub(crate) mod terminal;
pub(crate) mod watch;
