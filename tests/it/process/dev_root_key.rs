//! The root key of a data directory: without it, or with another one, nothing starts and nothing is changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use pushvault_crypto::KeyEncryptionKey;

use super::support::{DataDirectory, DevVault, Signal, run};

#[tokio::test]
async fn a_lost_and_a_wrong_root_key_are_refused_and_the_right_one_opens_everything_again() {
    let directory = DataDirectory::new();
    let vault = DevVault::start(&directory);
    let first = vault.environment.clone();
    let sid = first.caller().register("under-the-first-key").await;
    vault.stop(Signal::Interrupt, &directory);
    let path = directory.join("root.key");
    let key = fs::read(&path).unwrap();
    let name = |key: &[u8]| KeyEncryptionKey::from_slice(key).unwrap().id().to_string();

    fs::rename(&path, directory.join("elsewhere.key")).unwrap();
    run(directory.command()).refused(1, &["root.key is missing", "restore the file"]);
    assert!(!path.exists(), "a database must never be given a new key");

    let other = [9; 32];
    fs::write(&path, other).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let refused = run(directory.command()).refused(1, &["wrong root key", &name(&key), &name(&other)]);
    assert_eq!(refused.stdout, "");
    assert!(directory.is_down(), "{:?}", directory.postgres());
    assert!(!directory.join("dev.env").exists());

    fs::rename(directory.join("elsewhere.key"), &path).unwrap();
    let vault = DevVault::start(&directory);
    assert_eq!(vault.environment.auth_token, first.auth_token);
    assert_eq!(vault.environment.caller().fetch(&sid).await.status, 200);
    let report = directory.operate(&["kek", "verify"]).succeeded().json();
    assert_eq!(report["opened"], 1);
    vault.stop(Signal::Interrupt, &directory);
}
