use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::model::files::{Entry, What};
use crate::steps::objects::read_index;
use crate::steps::testing::{Bench, write};

/// A machine whose application has files of all kinds, and an empty manifest for each of the backups.
struct Place {
    bench: Bench,
    home: PathBuf,
    uploads: PathBuf,
}

const FIRST: &str = "20260101T000000Z";
const SECOND: &str = "20260102T000000Z";

impl Place {
    fn new() -> Self {
        let bench = Bench::new();
        let home = bench.at(&paths::backups(bench.app()));
        let uploads = bench.at(&paths::home(bench.app())).join("shared/uploads");
        write(&uploads.join("a.txt"), "aaaa");
        write(&uploads.join("sub/same as a"), "aaaa");
        write(&uploads.join("sub/empty"), "");
        write(&uploads.join("sub/big"), &"0123456789abcdef".repeat(100_000));
        fs::set_permissions(uploads.join("a.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("/etc/hostname", uploads.join("sub/outside")).unwrap();
        let pipe = uploads.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let place = Self { bench, home, uploads };
        place.manifest(FIRST);
        place.manifest(SECOND);
        place
    }

    fn manifest(&self, name: &str) {
        let mut manifest = crate::model::backup::testing::manifest(name);
        manifest.folders = vec!["uploads".to_owned()];
        write(&self.folder(name).join(MANIFEST), &serde_json::to_string(&manifest).unwrap());
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    async fn keep(&self, name: &str) -> Outcome {
        run(&self.bench.job(0, Work::Folders { backup: name.parse().unwrap() })).await
    }

    fn kept(&self, name: &str) -> Files {
        serde_json::from_slice(&fs::read(self.folder(name).join(FILES)).unwrap()).unwrap()
    }

    fn entries(&self, name: &str) -> Vec<Entry> {
        let listing = sealed::decompressed(&self.folder(name).join(LISTING)).unwrap();
        entries(listing).collect::<Result<_, _>>().unwrap()
    }

    fn objects(&self) -> usize {
        walk_files(&self.home.join("objects")).len()
    }
}

fn walk_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() { found.extend(walk_files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn each_content_is_kept_once_for_all_backups() {
    let place = Place::new();
    let out = place.keep(FIRST).await.unwrap();
    let Output::Kept { files: 4, bytes: 1_600_008, new_bytes, restless: 0 } = out else { panic!("{out:?}") };
    assert!(new_bytes > 0 && new_bytes < 10_000, "it is compressed: {new_bytes}");
    assert_eq!(place.objects(), 3, "two files are equal");
    let first = place.kept(FIRST);
    assert_eq!((first.files, first.objects, first.stored_bytes), (4, 3, new_bytes));
    assert_eq!(first.left_out, ["uploads/pipe"]);
    let paths: Vec<_> = place.entries(FIRST).into_iter().map(|entry| entry.path).collect();
    assert_eq!(
        paths,
        [
            "uploads",
            "uploads/a.txt",
            "uploads/sub",
            "uploads/sub/big",
            "uploads/sub/empty",
            "uploads/sub/outside",
            "uploads/sub/same as a"
        ]
    );
    let link = place.entries(FIRST).remove(5);
    assert_eq!(link.what, What::Link { target: "/etc/hostname".to_owned() }, "a link is kept and not followed");

    write(&place.uploads.join("new"), "new");
    fs::remove_file(place.uploads.join("sub/big")).unwrap();
    let Output::Kept { files: 4, new_bytes, .. } = place.keep(SECOND).await.unwrap() else { panic!() };
    assert!(new_bytes < 100, "{new_bytes}");
    assert_eq!(place.objects(), 4);
    // Doing it again, after an end that nobody heard of, changes nothing.
    let Output::Kept { new_bytes: 0, .. } = place.keep(SECOND).await.unwrap() else { panic!() };
    for (file, what) in [
        (place.folder(SECOND).join(FILES), "its word"),
        (walk_files(&place.home.join("objects")).remove(0), "an object"),
    ] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o640, "{what}");
    }
}

#[tokio::test]
async fn only_what_no_backup_names_is_deleted() {
    let place = Place::new();
    place.keep(FIRST).await.unwrap();
    fs::remove_file(place.uploads.join("sub/big")).unwrap();
    write(&place.uploads.join("new"), "new");
    place.keep(SECOND).await.unwrap();
    let forget = |name: &str| Work::Forget { backups: vec![name.parse().unwrap()] };
    let forget = |name: &str| place.bench.job(0, forget(name));

    // A backup that was not finished names what it stands on as well.
    let part = place.home.join("20260103T000000Z.part");
    let index = fs::read(place.folder(FIRST).join(INDEX)).unwrap();
    fs::create_dir(&part).unwrap();
    fs::write(part.join(INDEX), "nonsense").unwrap();
    fs::rename(&part, place.folder("20260103T000000Z")).unwrap();
    let cause = crate::steps::backup::run(&forget(FIRST)).await.unwrap_err();
    assert!(cause.what.contains("not an object"), "{cause:?}");
    assert_eq!(place.objects(), 4, "an index that cannot be read may name anything");

    fs::write(place.folder("20260103T000000Z").join(INDEX), index).unwrap();
    crate::steps::backup::run(&forget(FIRST)).await.unwrap();
    assert_eq!(place.objects(), 4);
    fs::remove_dir_all(place.folder("20260103T000000Z")).unwrap();
    crate::steps::backup::run(&forget(FIRST)).await.unwrap();
    assert_eq!(place.objects(), 3);
    for name in read_index(&place.folder(SECOND).join(INDEX)).unwrap().keys() {
        assert!(Objects::beside(&place.home).path(name).unwrap().exists(), "{name}");
    }
}

#[test]
fn a_file_that_does_not_hold_still_is_told() {
    let place = Place::new();
    let (path, stop) = (place.uploads.join("log"), AtomicBool::new(false));
    write(&path, &"x".repeat(30_000_000));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"y").unwrap();
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let kept = runtime.block_on(place.keep(FIRST));
        stop.store(true, Ordering::Relaxed);
        let Output::Kept { restless: 1, .. } = kept.unwrap() else { panic!() };
    });
    assert_eq!(place.kept(FIRST).restless, ["uploads/log"]);
    // What is kept is what the listing says, whatever it is.
    let entry = place.entries(FIRST).into_iter().find(|entry| entry.path == "uploads/log").unwrap();
    let What::File { size, sha256, object } = entry.what else { panic!() };
    let mut content = Vec::new();
    Objects::beside(&place.home).open(&object).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!((content.len() as u64, hex(&Sha256::digest(&content))), (size, sha256));
}

#[tokio::test]
async fn what_a_crash_left_behind_is_never_relied_upon() {
    let place = Place::new();
    place.keep(FIRST).await.unwrap();
    let good = walk_files(&place.home.join("objects")).remove(0);
    // Power went while objects were written: none of them has its name yet.
    write(&place.home.join("objects/.new/writing"), "half");
    fs::write(place.home.join("objects/.new").join(good.file_name().unwrap()), "half").unwrap();
    fs::remove_file(place.folder(FIRST).join(FILES)).unwrap();
    fs::write(place.folder(FIRST).join(LISTING), "half").unwrap();
    place.keep(FIRST).await.unwrap();
    assert_eq!(fs::read_dir(place.home.join("objects/.new")).unwrap().count(), 0);
    for (name, bytes) in read_index(&place.folder(FIRST).join(INDEX)).unwrap() {
        Objects::beside(&place.home).check(&name, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_is_a_link_or_missing_is_refused() {
    let place = Place::new();
    fs::rename(&place.uploads, place.uploads.with_extension("old")).unwrap();
    let cause = place.keep(FIRST).await.unwrap_err();
    assert!(cause.what.ends_with("shared/uploads: No such file or directory (os error 2)"), "{cause:?}");
    symlink("/etc", &place.uploads).unwrap();
    let cause = place.keep(FIRST).await.unwrap_err();
    assert!(cause.what.contains("shared/uploads: ") && cause.hint.is_some(), "{cause:?}");
    assert!(!place.folder(FIRST).join(FILES).exists());
}

#[tokio::test]
async fn files_come_back_as_they_were_into_a_new_folder_only() {
    let place = Place::new();
    place.keep(FIRST).await.unwrap();
    let to = place.bench.root().join("back");
    let back = |only: &str, to: &Path| give_back(&place.home, &place.folder(FIRST), Path::new(only), to);
    let given = back("", &to).unwrap();
    assert_eq!((given.files, given.bytes, given.lost.len()), (4, 1_600_008, 0));
    for name in ["a.txt", "sub/same as a", "sub/empty", "sub/big", "sub"] {
        let (was, is) = (place.uploads.join(name), to.join("uploads").join(name));
        if was.is_file() {
            assert_eq!(fs::read(&was).unwrap(), fs::read(&is).unwrap(), "{name}");
        }
        let look = |path: &Path| {
            let meta = path.metadata().unwrap();
            (meta.permissions().mode(), meta.modified().unwrap())
        };
        assert_eq!(look(&was), look(&is), "{name}");
    }
    assert_eq!(fs::read_link(to.join("uploads/sub/outside")).unwrap(), Path::new("/etc/hostname"));
    let cause = back("", &to).unwrap_err();
    assert!(cause.what.ends_with("is not empty, and nothing is written over"), "{cause:?}");
    let part = place.bench.root().join("part");
    assert_eq!(back("uploads/a.txt", &part).unwrap().files, 1);

    // What is lost is named, and the rest comes back.
    let big = place.entries(FIRST).into_iter().find(|entry| entry.path == "uploads/sub/big").unwrap();
    let What::File { object, .. } = big.what else { panic!() };
    fs::remove_file(Objects::beside(&place.home).path(&object).unwrap()).unwrap();
    let given = back("", &place.bench.root().join("rest")).unwrap();
    assert_eq!((given.files, given.lost.len()), (3, 1));
    assert!(given.lost[0].starts_with("uploads/sub/big: "), "{:?}", given.lost);
}
