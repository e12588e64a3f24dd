use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use age::secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::super::ServiceKey;
use super::identities::Failure;
use super::*;
use crate::secret::Secret;

/// Made for these tests by `ssh-keygen -t ed25519`, without a passphrase and with `swordfish`.
const SSH: &str = include_str!("../../../tests/it/fixtures/ssh/id_ed25519");
const SSH_LOCKED: &str = include_str!("../../../tests/it/fixtures/ssh/id_ed25519_locked");
const SSH_LOCKED_PUBLIC: &str = include_str!("../../../tests/it/fixtures/ssh/id_ed25519_locked.pub");

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn new_identity() -> (String, Recipient) {
    let (identity, recipient) = generate_identity();
    (identity.expose().to_owned(), recipient)
}

fn text(name: &str, text: &str) -> IdentitySource {
    IdentitySource::Text { name: name.to_owned(), bytes: Zeroizing::new(text.as_bytes().to_vec()) }
}

/// Counts what is asked for.
#[derive(Default)]
struct Counting {
    prints: Mutex<String>,
    asked: Mutex<Vec<String>>,
    commands: AtomicUsize,
    plugins: AtomicUsize,
}

impl Outside for Counting {
    fn key_command(&self, _: &str, _: Option<&Recipient>) -> Result<Secret, OutsideError> {
        self.commands.fetch_add(1, Ordering::Relaxed);
        Ok(secret(&self.prints.lock().unwrap()))
    }

    fn passphrase(&self, of: &str) -> Result<Secret, OutsideError> {
        self.asked.lock().unwrap().push(of.to_owned());
        Ok(secret("swordfish"))
    }

    fn plugin_wrap(&self, _: &str, _: &[u8]) -> Result<String, OutsideError> {
        unreachable!("nothing is wrapped here")
    }

    fn plugin_unwrap(&self, _: &Secret, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        self.plugins.fetch_add(1, Ordering::Relaxed);
        Ok(Zeroizing::new(vec![9; 32]))
    }

    fn service_encrypt(&self, _: &ServiceKey, _: &[u8]) -> Result<String, OutsideError> {
        unreachable!("there is no key service")
    }

    fn service_decrypt(&self, _: &ServiceKey, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        unreachable!("there is no key service")
    }
}

fn wrapped(recipient: &Recipient) -> String {
    recipient.wrap(&[9; 32], &Alone).unwrap()
}

fn opens(identities: &Identities, recipients: &[Recipient]) -> bool {
    let wrapped: Vec<String> =
        recipients.iter().map(|r| if r.plugin().is_some() { String::new() } else { wrapped(r) }).collect();
    let entries: Vec<_> = recipients.iter().zip(wrapped.iter().map(String::as_str)).collect();
    matches!(identities.unwrap(&entries), Some(Ok(bytes)) if *bytes == [9; 32])
}

fn locked_file(identity: &str) -> String {
    let mut recipient = age::scrypt::Recipient::new("swordfish".to_owned().into());
    recipient.set_work_factor(2);
    age::encrypt_and_armor(&recipient, identity.as_bytes()).unwrap()
}

#[test]
fn identities_are_read_as_in_keys_txt() {
    let (a, a_public) = new_identity();
    let (b, b_public) = new_identity();
    let text = format!("# created: today\n# public key: {a_public}\n{a}\r\n\n  {b}  \n");
    let identities =
        Identities::parse([("keys.txt", secret(&text)), ("SOPS_AGE_KEY", secret(&format!("{a} {b}")))])
            .unwrap();
    let publics: Vec<_> = identities.recipients().cloned().collect();
    assert_eq!(publics, [a_public, b_public]);
    assert_eq!(identities.sources(false).collect::<Vec<_>>(), ["keys.txt", "SOPS_AGE_KEY"]);
}

#[test]
fn a_line_that_is_no_identity_is_named_without_its_text() {
    let error = Identities::parse([("keys.txt", secret("# c\nAGE-SECRET-KEY-1CANARY\n"))]).unwrap_err();
    assert!(error.to_string().starts_with("keys.txt, line 2: not an age identity"), "{error}");
    assert!(!error.to_string().contains("CANARY"));
}

#[test]
fn what_cannot_be_used_is_left_aside_and_named() {
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let texts = [("a", "AGE-SECRET-KEY-PQ-1X"), ("b", "-----BEGIN EC PRIVATE KEY-----\n"), ("c", pem)];
    let identities = Identities::parse(texts.map(|(name, text)| (name, secret(text)))).unwrap();
    let kinds: Vec<_> = identities.skipped(true).map(|skipped| skipped.kind).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    assert_eq!(identities.recipients().len(), 0);
}

#[test]
fn an_ssh_key_opens_what_is_for_it() {
    let identities = Identities::parse([("id_ed25519", secret(SSH))]).unwrap();
    let own: Vec<Recipient> = identities.recipients().cloned().collect();
    assert_eq!(own.len(), 1);
    assert!(opens(&identities, &own));
    assert!(!opens(&identities, &[new_identity().1]));
}

#[test]
fn a_locked_ssh_key_is_asked_for_once_and_only_where_something_is_for_it() {
    let outside = Arc::new(Counting::default());
    let (mine, my_public) = new_identity();
    let sources = [text("~/.ssh/id_ed25519", SSH_LOCKED), text("keys.txt", &mine)];
    let identities = Identities::new(sources, outside.clone());
    let locked: Recipient = SSH_LOCKED_PUBLIC.parse().unwrap();
    assert!(!opens(&identities, &[new_identity().1]));
    assert!(opens(&identities, &[locked.clone(), my_public]), "by the key that needs no passphrase");
    assert_eq!(*outside.asked.lock().unwrap(), Vec::<String>::new());
    for _ in 0..20 {
        assert!(opens(&identities, &[new_identity().1, locked.clone()]));
    }
    assert_eq!(*outside.asked.lock().unwrap(), ["the SSH key ~/.ssh/id_ed25519"]);
}

#[test]
fn an_identity_file_with_a_passphrase_is_asked_for_once_and_last() {
    let outside = Arc::new(Counting::default());
    let (inner, inner_public) = new_identity();
    let (mine, my_public) = new_identity();
    let sources = [text("keys.age", &locked_file(&inner)), text("keys.txt", &mine)];
    let identities = Identities::new(sources, outside.clone());
    assert!(opens(&identities, &[inner_public.clone(), my_public]));
    assert_eq!(outside.asked.lock().unwrap().len(), 0);
    for _ in 0..20 {
        assert!(opens(&identities, &[new_identity().1, inner_public.clone()]));
    }
    assert_eq!(*outside.asked.lock().unwrap(), ["the identity file keys.age"]);
}

#[test]
fn a_wrong_passphrase_is_asked_for_once_and_named() {
    struct Wrong;
    impl Outside for Wrong {
        fn key_command(&self, _: &str, _: Option<&Recipient>) -> Result<Secret, OutsideError> {
            unreachable!("there is no command")
        }
        fn passphrase(&self, _: &str) -> Result<Secret, OutsideError> {
            Ok(secret("canary"))
        }
        fn plugin_wrap(&self, _: &str, _: &[u8]) -> Result<String, OutsideError> {
            unreachable!("there is no plugin")
        }
        fn plugin_unwrap(&self, _: &Secret, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
            unreachable!("there is no plugin")
        }
        fn service_encrypt(&self, _: &ServiceKey, _: &[u8]) -> Result<String, OutsideError> {
            unreachable!("there is no key service")
        }
        fn service_decrypt(&self, _: &ServiceKey, _: &str) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
            unreachable!("there is no key service")
        }
    }
    let (inner, public) = new_identity();
    for (source, entry) in
        [(locked_file(&inner), public), (SSH_LOCKED.to_owned(), SSH_LOCKED_PUBLIC.parse().unwrap())]
    {
        let identities = Identities::new([text("keys", &source)], Arc::new(Wrong));
        let armored = wrapped(&entry);
        let Some(Err(Failure::Outside { error, .. })) = identities.unwrap(&[(&entry, &armored)]) else {
            panic!("a wrong passphrase opens nothing");
        };
        assert_eq!(error.to_string(), "this is not the passphrase of keys");
    }
}

#[test]
fn a_key_command_is_run_once_and_only_where_no_other_key_opens() {
    let outside = Arc::new(Counting::default());
    let (printed, public) = new_identity();
    let (mine, my_public) = new_identity();
    *outside.prints.lock().unwrap() = printed;
    let command = IdentitySource::Command { name: "SOPS_AGE_KEY_CMD".to_owned(), command: "x".to_owned() };
    let identities = Identities::new([command, text("keys.txt", &mine)], outside.clone());
    assert!(opens(&identities, &[public.clone(), my_public]));
    assert_eq!(outside.commands.load(Ordering::Relaxed), 0);
    // 200 files for five readers each.
    for _ in 0..200 {
        let others = (0..4).map(|_| new_identity().1);
        let readers: Vec<_> = others.chain([public.clone()]).collect();
        assert!(opens(&identities, &readers));
    }
    assert_eq!(outside.commands.load(Ordering::Relaxed), 1);
}

#[test]
fn a_plugin_is_started_only_for_what_may_be_its_own() {
    let outside = Arc::new(Counting::default());
    let yubikey: Recipient =
        "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t".parse().unwrap();
    let identity = age::plugin::Identity::default_for_plugin("yubikey").unwrap().to_string();
    let keys = format!("#       Serial: 1\n#    Recipient: {yubikey}\n{identity}\n");
    let identities = Identities::new([text("keys.txt", &keys)], outside.clone());
    assert_eq!(identities.recipients().collect::<Vec<_>>(), [&yubikey]);
    assert!(!opens(&identities, &[new_identity().1]));
    assert_eq!(outside.plugins.load(Ordering::Relaxed), 0);
    assert!(opens(&identities, &[new_identity().1, yubikey]));
    assert_eq!(outside.plugins.load(Ordering::Relaxed), 1);
}

#[test]
fn ones_own_recipients_are_those_of_age_and_else_those_of_ssh() {
    let outside = Arc::new(Counting::default());
    let (mine, my_public) = new_identity();
    let ssh = || text("id_ed25519", SSH);
    let own =
        |sources: Vec<IdentitySource>| Identities::new(sources, outside.clone()).own_recipients().unwrap();
    assert_eq!(own(vec![ssh(), text("keys.txt", &mine)]), std::slice::from_ref(&my_public));
    assert_eq!(own(vec![ssh(), text("keys.age", &locked_file(&mine))]), [my_public]);
    assert!(own(vec![ssh()])[0].is_ssh());
}

#[test]
fn a_source_that_is_no_good_voids_no_other_and_ones_own_recipients_are_refused() {
    let (mine, my_public) = new_identity();
    let bad = || text("bad.txt", &format!("{}\nnonsense\n", new_identity().0));
    let identities = Identities::new([bad(), text("keys.txt", &mine)], Arc::new(Alone));
    assert!(opens(&identities, &[my_public]));
    assert_eq!(identities.recipients().len(), 1, "nothing of a text with a bad line is used");
    assert!(identities.unusable(false).next().unwrap().starts_with("bad.txt, line 2: "));
    assert_eq!(identities.only_broken(), []);
    let error = identities.own_recipients().unwrap_err().to_string();
    assert!(error.starts_with("cannot tell which keys are your own: bad.txt, line 2"), "{error}");
    assert!(Identities::new([bad()], Arc::new(Alone)).only_broken().len() == 1);
}

#[test]
fn a_comment_may_be_in_any_encoding() {
    let (mine, my_public) = new_identity();
    let bytes = [b"# caf\xe9\n", mine.as_bytes(), b"\r\n"].concat();
    let source = IdentitySource::Text { name: "keys.txt".to_owned(), bytes: Zeroizing::new(bytes) };
    assert!(opens(&Identities::new([source], Arc::new(Alone)), &[my_public]));
}

#[test]
fn debug_shows_public_keys_only() {
    let (mine, public) = new_identity();
    let identities = Identities::parse([("keys.txt", secret(&mine))]).unwrap();
    assert_eq!(format!("{identities:?}"), format!("[{public}]"));
    assert!(!mine.is_empty());
    let scrypt = age::x25519::Identity::generate();
    assert!(scrypt.to_string().expose_secret().starts_with("AGE-SECRET-KEY-1"));
}
