//! Encrypted backups: who has the identity proves them, who has not is told so, and nothing of them is readable.

use super::tests::proven_with as proven;
use super::*;
use crate::database::testing;
use crate::steps::backup::tests::{bench, taken};
use crate::steps::folders::INDEX;
use crate::steps::sealed::{self, new_identity, new_key};
use crate::steps::testing::{Bench, write};

/// A machine with an encrypted backup of a database and a folder.
struct Place {
    bench: Bench,
    folder: PathBuf,
    name: BackupName,
    /// What systemd hands over.
    credentials: PathBuf,
    /// The identity kept elsewhere.
    escrow: String,
}

async fn place(db: &str) -> Place {
    let scratch = testing::Scratch::new(db).await;
    scratch.app("insert into item (name) select md5(i::text) from generate_series(1, 3000) i").await;
    let (mut bench, home) = bench(db);
    let (own, own_recipient) = new_identity("own");
    let (escrow, escrow_recipient) = new_identity("escrow");
    bench.settings.backup.encrypt_to = vec![own_recipient, escrow_recipient];
    bench.settings.backup.folders = vec!["uploads".to_owned()];
    let credentials = bench.root().join("credentials");
    write(&credentials.join("identity"), &own);
    write(&credentials.join("object-key"), &new_key().unwrap());
    write(&bench.at(&paths::home(bench.app())).join("shared/uploads/a"), "the content of an upload");
    let manifest = taken(&bench, &scratch, 0).await.unwrap();
    let mut job = bench.job(0, Work::Folders { backup: manifest.name.clone() });
    job.credentials = Some(credentials.clone());
    crate::steps::folders::run(&job).await.unwrap();
    Place { folder: home.join(manifest.name.as_str()), name: manifest.name, bench, credentials, escrow }
}

impl Place {
    async fn said(&self) -> Outcome {
        proven(&self.bench, &self.name, &self.credentials).await
    }

    fn level(&self) -> Option<Level> {
        let path = proof_path(&self.bench.at(&paths::proofs(self.bench.app())), &self.name);
        let text = fs::read(path).ok()?;
        Some(serde_json::from_slice::<Proof>(&text).unwrap().level)
    }

    fn dump(&self) -> PathBuf {
        self.folder.join(format!("{DUMP}.age"))
    }

    /// Makes the manifest, and what refers to it, say what the dump is now.
    fn believe(&self) {
        let edit = |name: &str, edit: &dyn Fn(&mut serde_json::Value)| {
            let path = self.folder.join(name);
            let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            edit(&mut value);
            fs::write(&path, serde_json::to_vec(&value).unwrap()).unwrap();
        };
        let dump = sealed::measure(File::open(self.dump()).unwrap()).unwrap();
        edit(MANIFEST, &|value| value["dump"] = serde_json::to_value(&dump).unwrap());
        let digest = files::hex(&Sha256::digest(fs::read(self.folder.join(MANIFEST)).unwrap()));
        edit(crate::steps::folders::FILES, &|value| value["manifest"] = digest.clone().into());
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(all_files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn an_encrypted_backup_is_proven_and_nothing_of_it_can_be_read() {
    let place = place("closed").await;
    let home = place.folder.parent().unwrap();
    let open: Vec<_> = all_files(home)
        .into_iter()
        .filter(|path| !fs::read(path).unwrap().starts_with(b"age-encryption.org/v1"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(open.iter().all(|name| [MANIFEST, "files.json", INDEX].contains(&name.as_str())), "{open:?}");
    let content = files::hex(&Sha256::digest("the content of an upload"));
    let index = fs::read_to_string(place.folder.join(INDEX)).unwrap();
    assert!(!index.contains(&content), "a name tells what is in it: {index}");
    let Output::Proven { .. } = place.said().await.unwrap() else { panic!() };
    assert_eq!(place.level(), Some(Level::Matched));

    // The one that is kept elsewhere opens it as well, and takes no proof away if it is the only one.
    write(&place.credentials.join("identity"), &place.escrow);
    place.said().await.unwrap();
    // A server without an identity knows what it knew.
    write(&place.credentials.join("identity"), "\n");
    let Output::Closed { why, .. } = place.said().await.unwrap() else { panic!() };
    assert_eq!(why, "it is encrypted, and no identity is here");
    assert_eq!(place.level(), Some(Level::Matched));
}

type Damage = (&'static str, fn(&Place), Option<Level>, &'static str);

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn half(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() * 6 / 10);
}

fn flip(bytes: &mut [u8]) {
    let place = bytes.len() * 2 / 3;
    bytes[place] ^= 1;
}

#[tokio::test]
async fn no_damage_to_an_encrypted_backup_is_ever_called_proven() {
    use Level::*;
    let table: &[Damage] = &[
        ("truncated", |place| change(&place.dump(), half), Some(Written), "bytes in place of"),
        ("one bit flipped", |place| change(&place.dump(), |bytes| flip(bytes)), Some(Written), "SHA-256"),
        (
            "truncated before it was hashed",
            |place| {
                change(&place.dump(), half);
                place.believe();
            },
            Some(Checksummed),
            "cannot be decompressed",
        ),
        (
            "one bit flipped before it was hashed",
            |place| {
                change(&place.dump(), |bytes| flip(bytes));
                place.believe();
            },
            Some(Checksummed),
            "cannot be decompressed",
        ),
        (
            "an object is missing",
            |place| {
                let index = fs::read_to_string(place.folder.join(INDEX)).unwrap();
                let name = index.split(' ').next().unwrap();
                let objects = crate::steps::objects::Objects::beside(place.folder.parent().unwrap());
                fs::remove_file(objects.path(name).unwrap()).unwrap();
            },
            Some(Written),
            "No such file",
        ),
        (
            "another's identity",
            |place| write(&place.credentials.join("identity"), &new_identity("other").0),
            Some(Checksummed),
            "and the identity on this server is that of age1",
        ),
        (
            "no identity at all",
            |place| write(&place.credentials.join("identity"), "AGE-SECRET-KEY-1NOTHING"),
            None,
            "holds something that is not an age identity",
        ),
    ];
    let place = place("closed_damage").await;
    let home = place.folder.parent().unwrap().to_owned();
    let copy = tempfile::tempdir().unwrap();
    let given = |to: &Path, from: &Path| {
        let _ = fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    let (backups, credentials) = (copy.path().join("backups"), copy.path().join("credentials"));
    given(&backups, &home);
    given(&credentials, &place.credentials);
    for (what, damage, level, said) in table {
        given(&home, &backups);
        given(&place.credentials, &credentials);
        let _ = fs::remove_dir_all(place.bench.at(&paths::proofs(place.bench.app())));
        damage(&place);
        let cause = place.said().await.unwrap_err();
        assert!(cause.what.contains(said), "{what}: {cause:?}");
        assert_eq!(place.level(), *level, "{what}: {cause:?}");
    }
}

#[tokio::test]
async fn a_folder_is_not_kept_without_the_key_behind_the_names() {
    let place = place("closed_key").await;
    let mut job = place.bench.job(0, Work::Folders { backup: place.name.clone() });
    for credentials in [None, Some(place.bench.root().to_owned())] {
        job.credentials = credentials;
        let cause = crate::steps::folders::run(&job).await.unwrap_err();
        assert_eq!(cause.what, "the key behind the names of encrypted objects is missing");
    }
}
