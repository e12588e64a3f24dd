//! What a key service is asked for keys of every kind: the same by us as by the stock sops, for files of either.

use crate::support::holder::Machine;
use crate::support::key_service::{Asked, KeyService};
use crate::support::lab::{Lab, Said, said};
use crate::support::sops;

const FILE: &str = "secrets/x.sops.yaml";

/// A kind, the keys of a group, and whether the stock sops 3.11.0 knows it.
const KINDS: [(&str, &str, bool); 8] = [
    ("kms", "kms: [{arn: 'arn:aws:kms:eu-west-1:1:key/a'}]", true),
    (
        "kms with everything",
        "kms: [{arn: 'arn:aws:kms:eu-west-1:1:key/a', role: 'arn:aws:iam::1:role/r', context: {app: x, stage: y}, aws_profile: p}]",
        true,
    ),
    ("pgp", "pgp: [FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4]", true),
    ("gcp", "gcp_kms: [{resource_id: projects/p/locations/l/keyRings/r/cryptoKeys/k}]", true),
    ("azure", "azure_keyvault: [{vaultUrl: 'https://v.vault.azure.net', key: k, version: '1'}]", true),
    ("vault", "hc_vault: ['https://v.example.com:8200/v1/a/transit/keys/k']", true),
    ("huawei", "hckms: [{key_id: 'tr-west-1:abc'}]", false),
    ("post-quantum age", "age: [age1pq1qqqq]", false),
];

struct Desk {
    lab: Lab,
    service: KeyService,
    machine: Machine,
}

impl Desk {
    /// The program, or the stock sops, with nothing but the key service.
    fn run(&self, stock: bool, args: &[&str]) -> Said {
        let mut command = if stock { sops::command() } else { self.lab.command(args) };
        if stock {
            command.args(args).current_dir(self.lab.repo());
        }
        self.machine.seat(&mut command, &[]);
        command.env("SOPS_KEYSERVICE", self.service.address()).env("SOPS_ENABLE_LOCAL_KEYSERVICE", "false");
        said(command.env("HOME", self.lab.home()))
    }

    fn policy(&self, group: &str) {
        let groups = format!("[{{{group}}}]");
        self.lab.write(
            ".sops.yaml",
            &format!("creation_rules:\n- path_regex: ^secrets/\n  key_groups: {groups}\n"),
        );
        self.lab.commit_all("policy");
    }

    #[track_caller]
    fn check_value(&self, stock: bool) {
        let args: &[&str] =
            if stock { &["decrypt", "--extract", "[\"a\"]", FILE] } else { &["show", FILE, "a", "--reveal"] };
        assert_eq!(self.run(stock, args).ok().out.trim_end(), "one");
    }
}

fn keys(asked: &[Asked], call: &str) -> Vec<Asked> {
    asked.iter().filter(|(one, _)| one == call).cloned().collect()
}

#[test]
fn a_key_service_is_asked_the_same_by_us_as_by_the_stock_sops() {
    let desk = Desk { lab: Lab::bare(None), service: KeyService::start(), machine: Machine::for_all(&[]) };
    for (name, group, stock) in KINDS {
        let age = format!("age: ['{}']", desk.lab.recipient);
        desk.policy(&age);
        desk.lab.write(FILE, "a: one\n");
        desk.lab.sops(["encrypt", "-i", FILE]).ok();
        desk.lab.commit_all("file");
        desk.service.asked();
        // Ours: wrapped for the key alone, then opened with it.
        desk.policy(group);
        let mut rekey = desk.lab.command(["rekey", "--yes"]);
        rekey.env("SOPS_KEYSERVICE", desk.service.address());
        said(&mut rekey).ok();
        let wrapped = desk.service.asked();
        assert_eq!((wrapped.len(), wrapped[0].0.as_str()), (1, "Encrypt"), "{name}");
        desk.check_value(false);
        let opened = desk.service.asked();
        assert_eq!(opened, [("Decrypt".to_owned(), wrapped[0].1.clone())], "{name}");
        if !stock {
            continue;
        }
        // The stock sops opens it, and makes another one: it asks the very same.
        desk.check_value(true);
        assert_eq!(desk.service.asked(), opened, "{name}");
        desk.lab.write(FILE, "a: one\n");
        desk.run(true, &["encrypt", "-i", FILE]).ok();
        assert_eq!(desk.service.asked(), keys(&wrapped, "Encrypt"), "{name}");
        desk.check_value(false);
        assert_eq!(desk.service.asked(), opened, "{name}");
        // It finds its own file to be in line, and so do we.
        desk.lab.commit_all("theirs");
        let said = desk.run(false, &["rekey", "--check"]);
        assert_eq!(said.status, 0, "{name}: {}{}", said.out, said.err);
    }
}
