//! A plugin of age, as a script that can be found on a PATH: it speaks the protocol of age (C2SP, age-plugin), and writes
//! down a line each time that it is started.

use std::fs;
use std::path::Path;

use super::program::shell;

/// Recipients and identities of the plugin: bech32 of the names.
pub(crate) const ANA: (&str, &str) = ("age1test1v9hxz9ha36l", "AGE-PLUGIN-TEST-1V9HXZX6EMZS");
pub(crate) const BEN: (&str, &str) = ("age1test1vfjkudswmss", "AGE-PLUGIN-TEST-1VFJKUWA23GL");

/// A stanza names the recipient, and holds the file key as it is: what the plugin wraps it hides from nobody.
const PROTOCOL: &str = r#"
stanza() {
  IFS= read -r head || exit 1
  body=
  while IFS= read -r line; do
    body=$body$line
    [ ${#line} -lt 64 ] && break
  done
}
say() { printf -- '-> %s\n%s\n' "$1" "$2"; }
text() { printf %s "$1" | base64 | tr -d '='; }
case "$1" in
--age-plugin=recipient-v1) echo wrap ;;
--age-plugin=identity-v1) echo unwrap ;;
*) exit 2 ;;
esac >>"$log"
while stanza; do
  case "$head" in
  '-> add-recipient '*) whose=${head##* } ;;
  '-> add-identity '*) identity=${head##* } ;;
  '-> wrap-file-key') key=$body ;;
  '-> recipient-stanza 0 test '*) named=${head##* } key=$body ;;
  '-> done') break ;;
  esac
done
if [ "$1" = --age-plugin=recipient-v1 ]; then
  say "recipient-stanza 0 test $whose" "$key"
  stanza
else
  case "$identity" in
  "$ana_identity") own=$ana_recipient ;;
  "$ben_identity") own=$ben_recipient ;;
  esac
  if [ "$own" = "$named" ]; then
    answer=
    if [ -n "$pin" ]; then
      say request-secret "$(text 'PIN of the test key')"
      stanza
      answer=$body
    fi
    if [ "$answer" = "$(text "$pin")" ]; then
      say 'file-key 0' "$key"
    else
      say 'error identity 0' "$(text 'this is not the PIN')"
    fi
    stanza
  fi
fi
say done ''
"#;

pub(crate) struct Plugin {
    folder: tempfile::TempDir,
}

impl Plugin {
    pub(crate) fn new() -> Self {
        Self::with_pin("")
    }

    /// The same; it asks for this PIN before it unwraps anything.
    pub(crate) fn with_pin(pin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plugin = Self { folder };
        let log = plugin.folder.path().join("log");
        let known = format!(
            "log='{}'\npin='{pin}'\nana_recipient={}\nana_identity={}\nben_recipient={}\nben_identity={}",
            log.display(),
            ANA.0,
            ANA.1,
            BEN.0,
            BEN.1
        );
        shell(&plugin.on_path().join("age-plugin-test"), &format!("{known}\n{PROTOCOL}"));
        plugin
    }

    /// The folder that it is found in.
    pub(crate) fn on_path(&self) -> &Path {
        self.folder.path()
    }

    /// How often it was started to `wrap` or to `unwrap`.
    pub(crate) fn starts(&self, to: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| *line == to).count()
    }
}
