//! `provision emulator`: the embedded GitLab alone, until it is told to stop.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::EmulatorArgs;
use crate::error::{Error, Kind, Result};
use crate::gitlab::emulator::{Config, Emulator, Running, Seed, StartError, Time};
use crate::repo::read;

/// Serves, after one line of JSON on stdout: `url`, `token` (of the operator), `admin_token`, and `tokens` with all
/// seeded tokens by label. Returns on SIGTERM or SIGINT.
///
/// # Errors
/// A seed that cannot be read or does not hang together, an address that is not loopback or is taken.
pub fn run(args: EmulatorArgs) -> Result<()> {
    let failed = |error: io::Error| Error::from_source(Kind::Failed, &error);
    // From here on the signals end the loop below instead of the process.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let latency = args.latency.map_or(Ok(Duration::ZERO), Duration::try_from);
    let config = Config {
        listen: args.listen,
        seed: args.seed.as_deref().map(read_seed).transpose()?,
        time: args.now.map_or(Time::Machine, Time::From),
        latency: latency.map_err(|_| Error::new(Kind::Usage, "--latency cannot be negative"))?,
        faults: args.faults,
        ..Config::default()
    };
    let running = Emulator::start(config).map_err(|error| {
        let kind = match error {
            StartError::Listen { .. } => Kind::Failed,
            StartError::NotLoopback(_) | StartError::Seed(_) => Kind::Usage,
        };
        Error::from_source(kind, &error)
    })?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", announcement(&running)).and_then(|()| stdout.flush()).map_err(failed)?;
    drop(stdout);
    signals.forever().next();
    Ok(())
}

fn read_seed(path: &Path) -> Result<Seed> {
    let shown = path.display();
    let text = read::text(path).map_err(|error| {
        Error::new(Kind::Usage, format!("cannot read the seed {shown}")).because(error.to_string())
    })?;
    Seed::parse(&text).map_err(|error| Error::new(Kind::Usage, format!("{shown}: {error}")))
}

/// The one place where the seeded tokens are shown: they open nothing but this emulator.
fn announcement(running: &Running) -> Value {
    let values = running.labels().filter_map(|label| {
        let value = running.token(label)?;
        Some((label.to_owned(), Value::from(value.expose())))
    });
    json!({
        "url": running.url(),
        "token": running.operator_token().expose(),
        "admin_token": running.admin_token().expose(),
        "tokens": values.collect::<Map<_, _>>(),
    })
}
