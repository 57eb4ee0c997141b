use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use nix::sys::stat::Mode;

use super::*;
use crate::steps::testing::{Bench, any_sha, write};

/// Something done to a tree.
type Change = fn(&Path);

/// A machine on which release 42 was built.
fn built() -> (Bench, PathBuf) {
    let bench = Bench::new();
    let tree = bench.at(&paths::built(bench.app())).join("42");
    write(&tree.join("app/main.py"), "print(1)\n");
    (bench, tree)
}

async fn seal(bench: &Bench) -> Outcome {
    run(&bench.job(42, Work::Seal { revision: any_sha() })).await
}

fn releases(bench: &Bench) -> Vec<std::ffi::OsString> {
    files::names(&bench.at(&paths::releases(bench.app()))).unwrap()
}

#[tokio::test]
async fn a_sealed_release_is_what_was_built_without_dangerous_rights() {
    let (bench, tree) = built();
    let home = bench.release(42);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_000_000);
    for (name, mode) in [("tool", 0o6777), ("data", 0o666), ("readonly", 0o400)] {
        write(&tree.join(name), name);
        std::fs::File::open(tree.join(name)).unwrap().set_modified(old).unwrap();
        std::fs::set_permissions(tree.join(name), Permissions::from_mode(mode)).unwrap();
    }
    write(&tree.join("open/x"), "");
    std::fs::set_permissions(tree.join("open"), Permissions::from_mode(0o3777)).unwrap();
    symlink("app/main.py", tree.join("inside")).unwrap();
    symlink(bench.at(&paths::home(bench.app())).join("shared/uploads"), tree.join("uploads")).unwrap();
    symlink("/usr/bin/env", tree.join("python")).unwrap();
    symlink(home.join("app"), tree.join("at-home")).unwrap();

    let Output::Sealed { files: count, bytes } = seal(&bench).await.unwrap() else { panic!() };
    assert_eq!((count, bytes), (9, 9 + 4 + 4 + 8));
    let mode = |name: &str| std::fs::metadata(home.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!([mode("tool"), mode("data"), mode("readonly"), mode("open")], [0o755, 0o644, 0o444, 0o755]);
    assert_eq!(std::fs::metadata(home.join("tool")).unwrap().modified().unwrap(), old);
    assert_eq!(std::fs::read_link(home.join("inside")).unwrap(), Path::new("app/main.py"));
    assert_eq!(releases(&bench), ["42"]);
    let header = manifest::verify(&home).unwrap();
    assert_eq!((header.release, &header.revision, header.files), (ReleaseId(42), &any_sha(), 9));
}

#[tokio::test]
async fn what_is_not_a_release_is_refused_and_leaves_nothing() {
    let cases: [(Change, &str); 8] = [
        (|tree| nix::unistd::mkfifo(&tree.join("pipe"), Mode::S_IRWXU).unwrap(), "pipe is a named pipe"),
        (|tree| drop(std::os::unix::net::UnixListener::bind(tree.join("s")).unwrap()), "s is a socket"),
        (|tree| symlink("/etc/passwd", tree.join("link")).unwrap(), "the link link → /etc/passwd leaves the release"),
        (|tree| symlink("../../../x", tree.join("link")).unwrap(), "the link link → ../../../x leaves the release"),
        (|tree| symlink("/usr/../etc/passwd", tree.join("link")).unwrap(), "leaves the release"),
        (|tree| symlink("loop", tree.join("loop")).unwrap(), "leads in circles"),
        (|tree| write(&tree.join(manifest::NAME), ""), "which is the agent's"),
        (
            |tree| {
                let deep: PathBuf = std::iter::repeat_n("d", 250).collect();
                std::fs::create_dir_all(tree.join(deep)).unwrap();
            },
            "nested too deeply",
        ),
    ];
    for (make, why) in cases {
        let (bench, tree) = built();
        make(&tree);
        let cause = seal(&bench).await.unwrap_err();
        assert!(cause.what.contains(why), "{why}: {cause:?}");
        assert!(releases(&bench).is_empty(), "{why}");
    }
}

#[tokio::test]
async fn an_interpreter_that_the_build_could_change_is_refused() {
    let (bench, tree) = built();
    let python = bench.root().join("home/python3");
    write(&python, "");
    symlink(&python, tree.join("python")).unwrap();
    assert!(seal(&bench).await.unwrap_err().what.contains("leaves the release"));
    // Nor through a folder that is shared, where the application writes.
    std::fs::remove_file(tree.join("python")).unwrap();
    symlink(bench.at(&paths::home(bench.app())).join("shared/../../x"), tree.join("x")).unwrap();
    assert!(seal(&bench).await.unwrap_err().what.contains("leaves the release"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_device_is_refused() {
    let (bench, tree) = built();
    // Only root can make one.
    let made = nix::sys::stat::mknod(&tree.join("null"), nix::sys::stat::SFlag::S_IFCHR, Mode::S_IRWXU, 0x103);
    if made.is_ok() {
        assert!(seal(&bench).await.unwrap_err().what.contains("null is a device"));
    }
}

#[tokio::test]
async fn sealing_twice_is_sealing_once_and_a_crash_leaves_nothing_that_counts() {
    let (bench, tree) = built();
    let leftover = bench.at(&paths::releases(bench.app())).join(".new-42");
    write(&leftover.join("half"), "");
    let first = seal(&bench).await.unwrap();
    assert!(!leftover.exists() && !bench.release(42).join("half").exists());
    // The build's area may be gone or changed by now.
    std::fs::remove_dir_all(&tree).unwrap();
    assert_eq!(seal(&bench).await.unwrap(), first);
    let other = "f".repeat(40).parse().unwrap();
    let cause = run(&bench.job(42, Work::Seal { revision: other })).await.unwrap_err();
    assert!(cause.what.contains("is release 42 of 01234567 already"), "{cause:?}");
}

#[tokio::test]
async fn a_release_that_was_changed_is_noticed() {
    let changes: [(Change, &str); 4] = [
        (|home| std::fs::write(home.join("app/main.py"), "print(2)\n").unwrap(), "app/main.py"),
        (|home| std::fs::remove_file(home.join("app/main.py")).unwrap(), "app/main.py"),
        (|home| write(&home.join("app/extra.py"), ""), "app/extra.py"),
        (
            |home| std::fs::set_permissions(home.join("app/main.py"), Permissions::from_mode(0o755)).unwrap(),
            "app/main.py",
        ),
    ];
    for (change, file) in changes {
        let (bench, _) = built();
        seal(&bench).await.unwrap();
        change(&bench.release(42));
        let cause = seal(&bench).await.unwrap_err();
        assert!(cause.what.contains("is not what was sealed") && cause.what.contains(file), "{cause:?}");
    }
}

#[tokio::test]
async fn nothing_built_is_a_clear_failure() {
    let bench = Bench::new();
    assert!(seal(&bench).await.unwrap_err().what.contains("No such file"));
    assert!(releases(&bench).is_empty());
}
