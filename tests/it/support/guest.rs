//! Somebody with an age key.

use age::secrecy::ExposeSecret as _;
use provision::sops::Recipient;

pub(crate) struct Guest {
    pub(crate) private: String,
    pub(crate) recipient: Recipient,
}

pub(crate) fn guest() -> Guest {
    let key = age::x25519::Identity::generate();
    let private = key.to_string().expose_secret().to_owned();
    Guest { private, recipient: key.to_public().to_string().parse().unwrap() }
}
