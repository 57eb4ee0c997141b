//! The Debian package, made of the program that is tested here: it holds what `scripts/install` installs, and nothing in
//! it depends on when or where it was made.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_tsh-agent");

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn package(program: &Path, into: &Path) -> PathBuf {
    let mut command = Command::new(format!("{ROOT}/scripts/release"));
    // Uncompressed: what is packed here is large, and thrown away.
    command.env("DPKG_DEB_COMPRESSOR_TYPE", "none").arg("--binary").arg(program).arg("--into").arg(into);
    run(&mut command).trim().into()
}

/// The program without what is only for debuggers, which is nine tenths of it.
fn stripped(folder: &Path) -> PathBuf {
    let program = folder.join("program");
    run(Command::new("strip").arg("-o").arg(&program).arg(PROGRAM));
    program
}

fn files_below(folder: &Path) -> BTreeSet<String> {
    let listed = run(Command::new("find").arg(folder).args(["-type", "f", "-printf", "%P %m\n"]));
    listed.lines().map(str::to_owned).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn it_holds_what_is_installed_and_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let program = stripped(folder.path());
    let deb = package(&program, &at("one"));
    run(Command::new("dpkg-deb").arg("-R").arg(&deb).arg(at("unpacked")));
    let installed = Command::new(format!("{ROOT}/scripts/install"))
        .env("DESTDIR", at("installed"))
        .arg("--binary")
        .arg(&program)
        .output();
    assert!(installed.unwrap().status.success());

    let expected: BTreeSet<String> = files_below(&at("installed"))
        .into_iter()
        .map(|line| if line.contains("share/man/") { line.replace(" 644", ".gz 644") } else { line })
        .collect();
    let packed: BTreeSet<String> =
        files_below(&at("unpacked")).into_iter().filter(|line| !line.starts_with("DEBIAN/")).collect();
    let more: Vec<_> = packed.difference(&expected).collect();
    assert_eq!(more, ["usr/share/doc/tsh-agent/changelog.gz 644", "usr/share/doc/tsh-agent/copyright 644"]);
    assert_eq!(expected.difference(&packed).count(), 0);

    // Nothing of units/ was forgotten by the list.
    let names = |lines: &BTreeSet<String>| -> BTreeSet<String> {
        lines.iter().filter_map(|line| Some(line.split(' ').next()?.rsplit('/').next()?.to_owned())).collect()
    };
    assert_eq!(names(&files_below(&Path::new(ROOT).join("units"))).difference(&names(&packed)).count(), 0);

    // What a person may change is kept over an upgrade.
    let conffiles = read(at("unpacked/DEBIAN/conffiles"));
    let in_etc: Vec<_> = packed.iter().filter(|line| line.starts_with("etc/")).collect();
    assert_eq!(conffiles.lines().count(), in_etc.len(), "{conffiles}");

    let again = package(&program, &at("two"));
    assert!(std::fs::read(deb).unwrap() == std::fs::read(again).unwrap(), "packed again it is another package");
}

#[test]
fn a_purge_removes_every_folder_of_state_that_is_made() {
    let postrm = read(format!("{ROOT}/packaging/deb/postrm"));
    let removed: BTreeSet<&str> =
        postrm.lines().filter(|line| line.starts_with("rm -rf ")).flat_map(str::split_whitespace).collect();
    let made = read(format!("{ROOT}/units/tmpfiles.d/tsh-agent.conf"));
    let folders = made.lines().filter_map(|line| line.strip_prefix("d ")?.split_whitespace().next());
    let state: Vec<&str> = folders.filter(|folder| folder.starts_with("/var/lib/")).collect();
    assert!(state.len() > 3, "{state:?}");
    let left: Vec<&&str> = state.iter().filter(|folder| !removed.contains(**folder)).collect();
    assert!(left.is_empty(), "{left:?} stay behind");
}

#[test]
fn it_depends_on_every_library_that_the_program_loads() {
    let control = read(format!("{ROOT}/packaging/deb/control"));
    let package = |library: &str| match library {
        "libz" => "zlib1g",
        "libssl" | "libcrypto" => "libssl3",
        "libgcc_s" => "libgcc-s1",
        _ => "libc6",
    };
    let dynamic = run(Command::new("objdump").args(["-p", PROGRAM]));
    let needed: Vec<_> = dynamic.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim).collect();
    assert!(!needed.is_empty(), "{dynamic}");
    for library in needed {
        let package = package(library.split('.').next().unwrap());
        assert!(
            control.contains(&format!("{package} (")) || control.contains(&format!(" {package},")),
            "{library}: {package}"
        );
    }
    // OpenSSL is the system's, in the version that all four distributions have.
    assert!(dynamic.contains("libssl.so.3"), "{dynamic}");
}

#[test]
fn the_administrators_page_names_every_unit_and_every_user() {
    let page = read(format!("{ROOT}/packaging/man/tsh-agent.8")).replace("\\-", "-");
    for entry in std::fs::read_dir(format!("{ROOT}/units/systemd/system")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".d").split('.').next().unwrap();
        let word = name.strip_prefix("tsh-agent-").unwrap_or(name).trim_end_matches('@');
        assert!(word.is_empty() || page.contains(word), "{name}");
    }
    for line in read(format!("{ROOT}/units/sysusers.d/tsh-agent.conf")).lines().filter(|line| !line.starts_with('#')) {
        let name = line.split_whitespace().nth(1).unwrap();
        assert!(page.contains(&format!(".B {name}\n")), "{name}");
    }
}

#[test]
fn every_manual_page_is_understood_by_troff() {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(PROGRAM).arg("generate").arg(folder.path()));
    let pages = std::fs::read_dir(format!("{ROOT}/packaging/man")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.chain([folder.path().join("tsh-agent.toml.5")]) {
        let said = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).output().unwrap();
        assert!(said.stderr.is_empty(), "{}: {}", page.display(), String::from_utf8_lossy(&said.stderr));
    }
}
