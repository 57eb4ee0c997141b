//! A backup is proven only if its folders are good as well.

use super::tests::proven_without_cluster as proven;
use super::*;
use crate::model::files::What;
use crate::steps::folders::{FILES, INDEX, LISTING, entries};
use crate::steps::objects::Objects;
use crate::steps::sealed;
use crate::steps::testing::{Bench, write};

/// Backups in `home`, and the one in question.
struct Place {
    bench: Bench,
    home: PathBuf,
    folder: PathBuf,
    name: BackupName,
}

impl Place {
    /// A backup whose dump nobody can read, so that only its folders make a difference.
    async fn new() -> Self {
        let bench = Bench::new();
        let home = bench.at(&paths::backups(bench.app()));
        let name: BackupName = "20260101T000000Z".parse().unwrap();
        let folder = home.join(name.as_str());
        let uploads = bench.at(&paths::home(bench.app())).join("shared/uploads");
        write(&uploads.join("a"), &"a".repeat(10_000));
        write(&uploads.join("b"), "b");
        let mut manifest = crate::model::backup::testing::manifest(name.as_str());
        manifest.folders = vec!["uploads".to_owned()];
        for (file, path) in [(&mut manifest.dump, DUMP), (&mut manifest.globals, GLOBALS)] {
            write(&folder.join(path), path);
            *file = sealed::measure(path.as_bytes()).unwrap();
        }
        write(&folder.join(MANIFEST), &serde_json::to_string(&manifest).unwrap());
        let place = Self { bench, home, folder, name };
        place.keep().await;
        place
    }

    async fn keep(&self) {
        let job = self.bench.job(0, Work::Folders { backup: self.name.clone() });
        crate::steps::folders::run(&job).await.unwrap();
    }

    /// The object that holds the file `a`.
    fn object(&self) -> PathBuf {
        let listing = sealed::decompressed(&self.folder.join(LISTING)).unwrap();
        let entry = entries(listing).map(Result::unwrap).find(|entry| entry.path == "uploads/a").unwrap();
        let What::File { object, .. } = entry.what else { panic!() };
        Objects::beside(&self.home).path(&object).unwrap()
    }

    async fn said(&self) -> (Level, String) {
        let cause = proven(&self.bench, &self.name).await.unwrap_err();
        (self.proof().map_or(Level::Written, |proof| proof.level), cause.what)
    }

    fn proof(&self) -> Option<Proof> {
        let path = proof_path(&self.bench.at(&paths::proofs(self.bench.app())), &self.name);
        fs::read(path).ok().map(|text| serde_json::from_slice(&text).unwrap())
    }
}

type Damage = (&'static str, fn(&Place), Level, &'static str);

/// Rewrites an object as somebody would whose disk lied while it was written: its name is right for what is stored.
fn lie(place: &Place, content: &[u8]) {
    let path = place.object();
    let stored = zstd::encode_all(content, 3).unwrap();
    let (old, sha256) = (path.file_name().unwrap().to_str().unwrap(), files::hex(&Sha256::digest(&stored)));
    let name = format!("{}-{sha256}", old.split_once('-').unwrap().0);
    fs::write(path.with_file_name(&name), &stored).unwrap();
    let listing = fs::read(place.folder.join(LISTING)).unwrap();
    let listing = String::from_utf8(zstd::decode_all(&listing[..]).unwrap()).unwrap().replace(old, &name);
    fs::write(place.folder.join(LISTING), zstd::encode_all(listing.as_bytes(), 3).unwrap()).unwrap();
    let index = fs::read_to_string(place.folder.join(INDEX)).unwrap();
    let line =
        |line: &str| if line.starts_with(old) { format!("{name} {}\n", stored.len()) } else { format!("{line}\n") };
    fs::write(place.folder.join(INDEX), index.lines().map(line).collect::<String>()).unwrap();
    let mut files: serde_json::Value = serde_json::from_slice(&fs::read(place.folder.join(FILES)).unwrap()).unwrap();
    for (key, path) in [("listing", LISTING), ("index", INDEX)] {
        let file = sealed::measure(File::open(place.folder.join(path)).unwrap()).unwrap();
        files[key] = serde_json::to_value(file).unwrap();
    }
    fs::write(place.folder.join(FILES), serde_json::to_vec(&files).unwrap()).unwrap();
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn no_damage_to_folders_is_ever_called_proven() {
    let table: &[Damage] = &[
        ("nothing", |_| {}, Level::Checksummed, "db.dump.zst cannot be decompressed"),
        ("an object is missing", |place| fs::remove_file(place.object()).unwrap(), Level::Written, "No such file"),
        (
            "an object is cut off",
            |place| change(&place.object(), |bytes| bytes.truncate(9)),
            Level::Written,
            "bytes in place of",
        ),
        (
            "a bit of an object is flipped",
            |place| change(&place.object(), |bytes| bytes[7] ^= 1),
            Level::Written,
            "SHA-256",
        ),
        (
            "the listing is cut off",
            |place| change(&place.folder.join(LISTING), |bytes| bytes.truncate(9)),
            Level::Written,
            "bytes in place of",
        ),
        (
            "the index is another",
            |place| change(&place.folder.join(INDEX), |bytes| bytes[7] ^= 1),
            Level::Written,
            "SHA-256",
        ),
        ("no listing", |place| fs::remove_file(place.folder.join(LISTING)).unwrap(), Level::Written, "No such file"),
        (
            "no word about folders",
            |place| fs::remove_file(place.folder.join(FILES)).unwrap(),
            Level::Written,
            "files.json: No such file",
        ),
        (
            "another manifest",
            |place| change(&place.folder.join(MANIFEST), |bytes| bytes.push(b'\n')),
            Level::Written,
            "does not belong to this manifest",
        ),
    ];
    for (what, damage, level, said) in table {
        let place = Place::new().await;
        damage(&place);
        let (reached, cause) = place.said().await;
        assert!(cause.contains(said), "{what}: {cause}");
        assert_eq!(reached, *level, "{what}: {cause}");
        assert!(place.proof().unwrap().problem.is_some(), "{what}");
    }
}

#[tokio::test]
async fn what_was_wrong_when_it_was_written_is_found_by_decoding() {
    for (content, said) in [(&b"b"[..], "uploads/a is not what it was"), (b"", "uploads/a is not what it was")] {
        let place = Place::new().await;
        lie(&place, content);
        let folders = Folders::read(&place.home, &place.folder, &manifest(&place), &digest(&place)).unwrap().unwrap();
        folders.checksum().unwrap();
        let cause = folders.decode().unwrap_err();
        assert!(cause.what.contains(said), "{cause:?}");
    }
    let place = Place::new().await;
    let folders = Folders::read(&place.home, &place.folder, &manifest(&place), &digest(&place)).unwrap().unwrap();
    folders.checksum().and_then(|()| folders.decode()).unwrap();
}

fn manifest(place: &Place) -> Manifest {
    read_manifest(&place.folder, &place.name).unwrap().0
}

fn digest(place: &Place) -> String {
    read_manifest(&place.folder, &place.name).unwrap().1
}

#[tokio::test]
async fn a_damaged_object_is_stored_again_once_it_is_gone() {
    let place = Place::new().await;
    change(&place.object(), |bytes| bytes[7] ^= 1);
    fs::remove_file(place.object()).unwrap();
    place.keep().await;
    assert_eq!(place.said().await.0, Level::Checksummed);
}
