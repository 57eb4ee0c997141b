//! With a wheelhouse instead of a network.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::config::{Lock, Project};
use crate::steps::testing::{Bench, any_sha, write};

/// Makes a wheel of one module; the only thing it needs is Python's own zip.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
folder, name, version = sys.argv[1:]
info = f"{name}-{version}.dist-info"
with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{name}.py", f"VERSION = '{version}'\n")
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
"#;

/// A machine with a wheelhouse and an exported tree.
fn bench(files: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new();
    let house = bench.root().join("wheels");
    std::fs::create_dir(&house).unwrap();
    for (name, version) in [("tiny", "1.0"), ("other", "2.0")] {
        let made = std::process::Command::new("/usr/bin/python3")
            .args(["-c", MAKE_WHEEL, &house.to_string_lossy(), name, version])
            .status()
            .unwrap();
        assert!(made.success());
    }
    let house = house.to_string_lossy().into_owned();
    for (name, value) in
        [("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", &house), ("UV_OFFLINE", "1"), ("UV_FIND_LINKS", &house)]
    {
        bench.settings.build.environment.insert(name.to_owned(), value.to_owned());
    }
    let tree = bench.at(&paths::exported(bench.app(), &any_sha()));
    write(&tree.join("app.py"), "import tiny\nprint('tiny', tiny.VERSION)\n");
    for (name, text) in files {
        write(&tree.join(name), text);
    }
    bench
}

async fn build(bench: &Bench) -> Result<String, Cause> {
    match run(&bench.job(42, Work::Build { revision: any_sha() })).await? {
        Output::Built { how } => Ok(how),
        other => panic!("{other:?}"),
    }
}

/// The tools that are here: pip always, uv where it is installed.
fn tools(bench: &mut Bench) -> Vec<(&'static str, String)> {
    let plain = "/usr/bin:/bin".to_owned();
    let mut tools = vec![("pip", plain.clone())];
    let path = std::env::var("PATH").unwrap_or_default();
    if let Some(uv) = path.split(':').map(|dir| Path::new(dir).join("uv")).find(|uv| works(uv)) {
        let bin = bench.root().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        write(&bin.join("uv"), &format!("#!/bin/sh\nPATH={path} exec {} \"$@\"\n", uv.display()));
        std::fs::set_permissions(bin.join("uv"), std::fs::Permissions::from_mode(0o755)).unwrap();
        tools.push(("uv", format!("{}:{plain}", bin.display())));
    }
    tools
}

fn works(uv: &Path) -> bool {
    std::process::Command::new(uv).arg("--version").output().is_ok_and(|out| out.status.success())
}

/// When a release's file was compiled, and what its source says.
fn compiled(bench: &Bench, release: u32, file: &str) -> (Vec<u8>, u64) {
    let (folder, stem) = file.rsplit_once('/').unwrap_or((".", file));
    let folder = bench.release(release).join(folder);
    let beside = files::names(&folder.join("__pycache__")).unwrap();
    let name = beside.iter().find(|name| name.to_string_lossy().starts_with(stem.trim_end_matches("py"))).unwrap();
    let source = folder.join(stem).metadata().unwrap().modified().unwrap();
    let seconds = source.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    (std::fs::read(folder.join("__pycache__").join(name)).unwrap(), seconds)
}

#[tokio::test]
async fn what_was_compiled_is_compiled_once() {
    let mut bench =
        bench(&[("requirements.txt", "tiny==1.0\n"), ("lib/same.py", "A = 1\n"), ("lib/other.py", "B = 1\n")]);
    bench.settings.build.python = "/usr/bin/python3".to_owned();
    build(&bench).await.unwrap();
    let (first, then) = compiled(&bench, 42, "lib/same.py");

    // Something that only the kept one has, so that it is seen where it comes from; and another time of the source.
    let all = bench.at(&paths::releases(bench.app())).join(cache::NAME).join("bytecode");
    let kept = all.join(&files::names(&all).unwrap()[0]);
    std::fs::create_dir(all.join("python-3.0.0")).unwrap();
    let count = files::names(&kept).unwrap().len();
    for name in files::names(&kept).unwrap() {
        let mut text = std::fs::read(kept.join(&name)).unwrap();
        text.push(b'!');
        std::fs::write(kept.join(&name), text).unwrap();
    }
    let tree = bench.at(&paths::exported(bench.app(), &any_sha()));
    write(&tree.join("lib/other.py"), "B = 2\n");
    let later = std::time::SystemTime::now() + Duration::from_secs(60);
    File::options().write(true).open(tree.join("lib/same.py")).unwrap().set_modified(later).unwrap();
    build(&bench).await.unwrap();

    let (second, time) = compiled(&bench, 42, "lib/same.py");
    assert_eq!((second, time), ([first, vec![b'!']].concat(), then), "the same content");
    let (other, _) = compiled(&bench, 42, "lib/other.py");
    assert_ne!(other.last(), Some(&b'!'), "another content");
    let out = std::process::Command::new(bench.release(42).join(".venv/bin/python"))
        .args(["-c", "import sys; sys.dont_write_bytecode = True; import lib.other, lib.same; print(lib.other.B)"])
        .current_dir(bench.release(42))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "2\n");
    assert_eq!(files::names(&kept).unwrap().len(), count, "what no source has any more is not kept");
    assert_eq!(files::names(&all).unwrap().len(), 1, "nor what another Python compiled");
}

#[tokio::test]
async fn the_environment_is_at_its_final_path_and_holds_what_is_locked() {
    let mut bench = bench(&[("requirements.txt", "tiny==1.0\n")]);
    bench.settings.build.extra = vec!["other==2.0".to_owned()];
    bench.settings.build.python = "/usr/bin/python3".to_owned();
    for (tool, path) in tools(&mut bench) {
        bench.settings.build.environment.insert("PATH".to_owned(), path);
        assert!(build(&bench).await.unwrap().starts_with(&format!("2 packages with {tool}")));
        let release = bench.release(42);
        let out =
            std::process::Command::new(release.join(".venv/bin/python")).arg(release.join("app.py")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "tiny 1.0\n", "{tool}");
        assert!(release.join("__pycache__").is_dir(), "{tool}: bytecode");
        // Nothing but the release and the cache is left.
        assert_eq!(files::names(&bench.at(&paths::releases(bench.app()))).unwrap(), [".cache", "42"]);
    }
}

#[tokio::test]
async fn a_requirement_that_does_not_exist_is_named() {
    let mut bench = bench(&[("requirements.txt", "tiny==1.0\nno-such-thing==7\n")]);
    bench.settings.build.python = "/usr/bin/python3".to_owned();
    for (tool, path) in tools(&mut bench) {
        bench.settings.build.environment.insert("PATH".to_owned(), path);
        let cause = build(&bench).await.unwrap_err();
        assert!(cause.what.contains("no-such-thing"), "{tool}: {cause:?}");
        assert!(!cause.tail.is_empty());
    }
}

#[tokio::test]
async fn hashes_are_enforced_where_there_are_any() {
    let wrong = format!("tiny==1.0 --hash=sha256:{}\n", "0".repeat(64));
    let mut bench = bench(&[("requirements.txt", &wrong)]);
    bench.settings.build.python = "/usr/bin/python3".to_owned();
    for (tool, path) in tools(&mut bench) {
        bench.settings.build.environment.insert("PATH".to_owned(), path);
        let cause = build(&bench).await.unwrap_err();
        assert!(cause.what.contains("not the one that was locked"), "{tool}: {cause:?}");
    }
}

#[tokio::test]
async fn build_commands_see_the_environment_and_nothing_of_ours() {
    let mut bench = bench(&[("sub/x", "")]);
    bench.settings.build.workdir = "sub".into();
    bench.settings.build.environment.insert("DUMMY".to_owned(), "7".to_owned());
    bench.settings.build.commands = vec![
        ["sh", "-c", "pwd > ../where; env > ../env"].map(str::to_owned).to_vec(),
        ["sh", "-c", "umask 077; mkdir -p private; echo > private/file"].map(str::to_owned).to_vec(),
    ];
    assert_eq!(build(&bench).await.unwrap(), "no environment");
    let release = bench.release(42);
    let read = |name: &str| std::fs::read_to_string(release.join(name)).unwrap();
    assert_eq!(read("where").trim(), release.join("sub").to_string_lossy());
    let env = read("env");
    assert!(
        env.contains("DUMMY=7\n") && env.contains(&format!("PATH={}/.venv/bin:/usr/local/bin:", release.display())),
        "{env}"
    );
    // Cargo sets it for this test; it stands for whatever the agent has.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !env.contains("CARGO"), "{env}");
    let mode = |name: &str| std::fs::metadata(release.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("sub/private"), mode("sub/private/file")), (0o755, 0o644));

    bench.settings.build.commands = vec![["sh", "-c", "echo the reason; exit 9"].map(str::to_owned).to_vec()];
    let cause = build(&bench).await.unwrap_err();
    assert!(cause.what.ends_with("failed with exit status 9") && cause.tail == ["the reason"], "{cause:?}");
}

#[tokio::test]
async fn what_an_earlier_build_left_is_not_used_apart_from_the_cache() {
    let bench = bench(&[]);
    let area = bench.at(&paths::releases(bench.app()));
    write(&area.join("41/x"), "");
    write(&area.join("42/x"), "");
    write(&area.join(".cache/uv/x"), "");
    build(&bench).await.unwrap();
    assert_eq!(files::names(&area).unwrap(), [".cache", "42"]);
    assert!(!area.join("42/x").exists() && area.join(".cache/uv/x").exists());
    // The machine went down while the cache was written: it may be full of empty files.
    write(&area.join(".cache/writing"), "another boot");
    build(&bench).await.unwrap();
    assert!(!area.join(".cache/uv/x").exists());
}

#[tokio::test]
async fn shared_folders_become_links() {
    let mut bench = bench(&[("uploads/images/.gitkeep", "")]);
    bench.settings.build.shared =
        [("uploads".into(), "uploads".to_owned()), ("var/logs".into(), "logs".to_owned())].into();
    bench.settings.build.commands =
        vec![["sh", "-c", "mkdir -p var/logs; echo > var/logs/app.log"].map(str::to_owned).to_vec()];
    build(&bench).await.unwrap();
    let shared = bench.at(&paths::home(bench.app())).join("shared");
    let release = bench.release(42);
    assert_eq!(std::fs::read_link(release.join("uploads")).unwrap(), shared.join("uploads"));
    assert_eq!(std::fs::read_link(release.join("var/logs")).unwrap(), shared.join("logs"));

    write(&bench.at(&paths::exported(bench.app(), &any_sha())).join("uploads/logo.png"), "");
    let cause = build(&bench).await.unwrap_err();
    assert!(cause.what.contains("the revision contains uploads/logo.png"), "{cause:?}");
}

#[tokio::test]
async fn a_build_that_takes_too_long_is_stopped() {
    let mut bench = bench(&[]);
    bench.settings.build.timeout = Duration::from_millis(300);
    bench.settings.build.commands = vec![["sleep", "600"].map(str::to_owned).to_vec()];
    assert_eq!(build(&bench).await.unwrap_err().what, "the build took longer than 0.3 s");
}

#[tokio::test]
async fn what_the_configuration_expects_and_the_revision_has_not() {
    let mut bench = bench(&[]);
    bench.settings.build.lock = Lock::Requirements("requirements/prod.txt".into());
    assert_eq!(build(&bench).await.unwrap_err().what, "the revision has no requirements/prod.txt");
    bench.settings.build.lock = Lock::Uv;
    assert_eq!(build(&bench).await.unwrap_err().what, "the revision has no uv.lock");
    bench.settings.build.workdir = "backend".into();
    assert_eq!(build(&bench).await.unwrap_err().what, "the revision has no folder backend");
    bench.settings.build.workdir = PathBuf::new();
    write(&bench.at(&paths::exported(bench.app(), &any_sha())).join("uv.lock"), "");
    bench.settings.build.environment.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    bench.settings.build.python = "/usr/bin/python3".to_owned();
    assert!(build(&bench).await.unwrap_err().what.contains("uv is not on this server"));
}

#[tokio::test]
async fn a_tree_cannot_make_the_build_write_elsewhere() {
    let mut bench = bench(&[]);
    let outside = bench.root().join("outside");
    write(&outside.join("kept"), "");
    symlink(&outside, bench.at(&paths::exported(bench.app(), &any_sha())).join("uploads")).unwrap();
    bench.settings.build.shared = [("uploads".into(), "uploads".to_owned())].into();
    bench.settings.build.project = Project::No;
    build(&bench).await.unwrap();
    assert!(outside.join("kept").exists());
}
