//! The signature matrix: real keys of ssh-keygen, real commits of git, and no wrong yes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::signature::verify;
use crate::model::gates::Signature;
use crate::model::gates::outside::Signed;
use crate::model::names::Sha;

/// A repository, keys, and root's files; whoever runs the test plays root.
struct Bench {
    dir: tempfile::TempDir,
    rule: Signature,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rule = Signature { allowed_signers: dir.path().join("allowed"), revoked: None };
        let bench = Self { dir, rule };
        for key in ["olga", "piet", "mallory"] {
            bench.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", key]);
        }
        bench.git(&["init", "-q", "-b", "main"]);
        bench.allow("olga@example.org namespaces=\"git\"", "olga");
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run_with(&self, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_AUTHOR_NAME", "D"), ("GIT_AUTHOR_EMAIL", "d@example.org")])
            .envs([("GIT_COMMITTER_NAME", "D"), ("GIT_COMMITTER_EMAIL", "d@example.org")])
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        self.run_with(program, arguments, &[])
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.run("git", arguments)
    }

    /// Root lists a key, with this before it.
    fn allow(&self, who: &str, key: &str) {
        let public = fs::read_to_string(self.at(&format!("{key}.pub"))).unwrap();
        fs::write(&self.rule.allowed_signers, format!("{who} {public}")).unwrap();
        self.mode(&self.rule.allowed_signers, 0o644);
    }

    fn mode(&self, path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Commits, signed with this key or not at all, and tells the commit.
    fn commit(&self, key: Option<&str>, date: &str) -> Sha {
        let key = key.map(|key| self.at(key).display().to_string());
        let signing = format!("user.signingkey={}", key.clone().unwrap_or_default());
        let mut arguments = vec!["-c", "gpg.format=ssh", "-c", &signing, "commit", "-q", "--allow-empty", "-m", "work"];
        arguments.push(if key.is_some() { "-S" } else { "--no-gpg-sign" });
        self.run_with("git", &arguments, &[("GIT_AUTHOR_DATE", date), ("GIT_COMMITTER_DATE", date)]);
        self.head()
    }

    fn head(&self) -> Sha {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// The raw commit.
    fn raw(&self, sha: &Sha) -> Vec<u8> {
        let output =
            Command::new("git").args(["cat-file", "commit", sha.as_str()]).current_dir(self.dir.path()).output();
        output.unwrap().stdout
    }

    /// A commit that git itself would not make.
    fn forge(&self, raw: &[u8]) -> Sha {
        fs::write(self.at("raw"), raw).unwrap();
        self.git(&["hash-object", "-t", "commit", "-w", "--literally", "raw"]).parse().unwrap()
    }

    /// Exports what is new against `running`, as the fetch step does, and verifies.
    async fn verify(&self, revision: &Sha, running: Option<&Sha>) -> Signed {
        let new = match running {
            Some(running) => self.git(&["rev-list", revision.as_str(), &format!("^{running}")]),
            None => revision.to_string(),
        };
        let folder = self.at("commits");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        for sha in new.lines() {
            fs::write(folder.join(sha), self.raw(&sha.parse().unwrap())).unwrap();
        }
        let me = nix::unistd::geteuid().as_raw();
        verify(&self.rule, me, &folder, revision).await.unwrap()
    }

    async fn refused(&self, revision: &Sha, running: Option<&Sha>, because: &str) {
        match self.verify(revision, running).await {
            Signed::Bad { why } => assert!(why.contains(because), "{why:?} does not say {because:?}"),
            good => panic!("a wrong yes: {good:?}, where {because:?} was expected"),
        }
    }
}

/// What git takes for: now.
const NOW: &str = "";

#[tokio::test]
async fn only_good_signatures_of_those_who_may_are_believed() {
    let bench = Bench::new();
    let good = bench.commit(Some("olga"), NOW);
    let yes = Signed::Good { commits: 1, by: "olga@example.org".into() };
    // 1 good
    assert_eq!(bench.verify(&good, None).await, yes);
    // 2 good, whatever date it claims
    let old = bench.commit(Some("olga"), "2001-01-01T00:00:00Z");
    assert_eq!(bench.verify(&old, None).await, yes);
    // 3 unsigned
    let unsigned = bench.commit(None, NOW);
    bench.refused(&unsigned, None, "it is not signed").await;
    // 4 by a key that nobody has listed: ssh-keygen calls the signature "Good"
    let untrusted = bench.commit(Some("mallory"), NOW);
    bench.refused(&untrusted, None, "may not sign").await;
    // 5 an expired key, honestly dated
    bench.allow("olga@example.org namespaces=\"git\",valid-before=\"20200101\"", "olga");
    bench.refused(&good, None, "as of now").await;
    // 6 an expired key, backdated to when it was good: git itself would believe it
    let backdated = bench.commit(Some("olga"), "2019-06-01T00:00:00Z");
    bench.refused(&backdated, None, "as of now").await;
    // 7 a key that is not valid yet
    bench.allow("olga@example.org namespaces=\"git\",valid-after=\"21260101\"", "olga");
    bench.refused(&good, None, "as of now").await;
    // 8 a key that is listed for something else than git
    bench.allow("olga@example.org namespaces=\"file\"", "olga");
    bench.refused(&good, None, "").await;
    // 9 nobody is listed
    fs::write(&bench.rule.allowed_signers, "").unwrap();
    bench.refused(&good, None, "may not sign").await;
    // 10 root's list is a mess
    fs::write(&bench.rule.allowed_signers, "this is no list\n").unwrap();
    bench.refused(&good, None, "").await;
    // 11 root's list is missing
    fs::remove_file(&bench.rule.allowed_signers).unwrap();
    bench.refused(&good, None, "No such file").await;
    // 12 root's list can be written by others
    bench.allow("olga@example.org", "olga");
    bench.mode(&bench.rule.allowed_signers, 0o666);
    bench.refused(&good, None, "can be written by others").await;
    // 13 root's list belongs to somebody else
    bench.mode(&bench.rule.allowed_signers, 0o644);
    let other = nix::unistd::geteuid().as_raw() + 1;
    let found = verify(&bench.rule, other, &bench.at("commits"), &good).await.unwrap();
    assert!(matches!(found, Signed::Bad { .. }), "{found:?}");
    // 14 root's list is a link
    fs::rename(bench.at("allowed"), bench.at("real")).unwrap();
    std::os::unix::fs::symlink(bench.at("real"), bench.at("allowed")).unwrap();
    bench.refused(&good, None, "is not a file").await;
}

#[tokio::test]
async fn a_revoked_key_signs_nothing_any_more() {
    let mut bench = Bench::new();
    let good = bench.commit(Some("olga"), NOW);
    bench.rule.revoked = Some(bench.at("revoked"));
    // 15 the list of revoked keys is missing, so nobody knows
    bench.refused(&good, None, "No such file").await;
    // 16 revoked, as one key a line
    fs::copy(bench.at("olga.pub"), bench.at("revoked")).unwrap();
    bench.mode(&bench.at("revoked"), 0o644);
    bench.refused(&good, None, "does not hold").await;
    // 17 revoked, as a key revocation list
    bench.run("ssh-keygen", &["-q", "-k", "-f", "krl", "olga.pub"]);
    fs::rename(bench.at("krl"), bench.at("revoked")).unwrap();
    bench.mode(&bench.at("revoked"), 0o644);
    bench.refused(&good, None, "does not hold").await;
    // 18 somebody else's key is revoked
    fs::copy(bench.at("piet.pub"), bench.at("revoked")).unwrap();
    assert!(matches!(bench.verify(&good, None).await, Signed::Good { .. }));
}

#[tokio::test]
async fn what_was_signed_is_what_is_deployed() {
    let bench = Bench::new();
    let first = bench.commit(Some("olga"), NOW);
    let good = bench.commit(Some("olga"), NOW);
    let raw = String::from_utf8(bench.raw(&good)).unwrap();
    // 19 another message under the same signature
    bench.refused(&bench.forge(raw.replace("\n\nwork", "\n\nother work").as_bytes()), None, "does not hold").await;
    // 20 another tree
    let empty = bench.git(&["hash-object", "-t", "tree", "-w", "--stdin"]);
    fs::write(bench.at("file"), "x").unwrap();
    bench.git(&["add", "file"]);
    let tree = bench.git(&["write-tree"]);
    assert_ne!(tree, empty);
    bench.refused(&bench.forge(raw.replace(&empty, &tree).as_bytes()), None, "does not hold").await;
    // 21 a signature taken from another commit
    let signature = |raw: &str| raw[raw.find("gpgsig ").unwrap()..raw.find("\n\n").unwrap()].to_owned();
    let other = String::from_utf8(bench.raw(&first)).unwrap();
    let stolen = raw.replace(&signature(&raw), &signature(&other));
    bench.refused(&bench.forge(stolen.as_bytes()), None, "does not hold").await;
    // 22 two signatures
    let twice = raw.replace("gpgsig ", &format!("{}\ngpgsig ", signature(&other)));
    bench.refused(&bench.forge(twice.as_bytes()), None, "several signatures").await;
    // 23 one of another kind
    let pgp = raw.replace("SSH SIGNATURE", "PGP SIGNATURE");
    bench.refused(&bench.forge(pgp.as_bytes()), None, "not signed with ssh").await;
    // 24 a signature in the message and none in the head
    let moved = format!("{}\n\nwork\n{}", &raw[..raw.find("\ngpgsig ").unwrap()], signature(&raw));
    bench.refused(&bench.forge(moved.as_bytes()), None, "it is not signed").await;
    // 25 signed for another purpose, by the right key
    let payload = raw.replace(&(signature(&raw) + "\n"), "");
    fs::write(bench.at("payload"), payload).unwrap();
    bench.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "file", "-f", "olga", "payload"]);
    let file = fs::read_to_string(bench.at("payload.sig")).unwrap();
    let wrong = raw.replace(&signature(&raw), &format!("gpgsig {}", file.trim_end().replace('\n', "\n ")));
    bench.refused(&bench.forge(wrong.as_bytes()), None, "does not hold").await;
    // 26 an object that is not what its name says
    let folder = bench.at("swapped");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(good.as_str()), bench.raw(&first)).unwrap();
    let me = nix::unistd::geteuid().as_raw();
    let found = verify(&bench.rule, me, &folder, &good).await.unwrap();
    assert!(matches!(&found, Signed::Bad { why } if why.contains("not what its name says")), "{found:?}");
}

#[tokio::test]
async fn every_new_commit_counts_also_behind_a_merge() {
    let bench = Bench::new();
    let running = bench.commit(Some("olga"), NOW);
    // 27 an unsigned commit below a signed one
    let between = bench.commit(None, NOW);
    let tip = bench.commit(Some("olga"), NOW);
    bench.refused(&tip, Some(&running), between.short()).await;
    // 28 but not once it runs
    assert!(matches!(bench.verify(&tip, Some(&between)).await, Signed::Good { commits: 1, .. }));
    // 29 a signed merge of an unsigned side
    bench.git(&["checkout", "-q", "-b", "side"]);
    let side = bench.commit(None, NOW);
    bench.git(&["checkout", "-q", "main"]);
    let signing = format!("user.signingkey={}", bench.at("olga").display());
    bench.git(&["-c", "gpg.format=ssh", "-c", &signing, "merge", "-q", "--no-ff", "-S", "-m", "merge", "side"]);
    let merge = bench.head();
    bench.refused(&merge, Some(&tip), side.short()).await;
    // 30 a signed merge of a signed side
    bench.git(&["reset", "-q", "--hard", tip.as_str()]);
    bench.git(&["checkout", "-q", "-B", "side"]);
    bench.commit(Some("olga"), NOW);
    bench.git(&["checkout", "-q", "main"]);
    bench.git(&["-c", "gpg.format=ssh", "-c", &signing, "merge", "-q", "--no-ff", "-S", "-m", "merge", "side"]);
    assert!(matches!(bench.verify(&bench.head(), Some(&tip)).await, Signed::Good { commits: 2, .. }));
    // 31 an unsigned merge of signed sides
    bench.git(&["reset", "-q", "--hard", tip.as_str()]);
    bench.git(&["merge", "-q", "--no-ff", "--no-gpg-sign", "-m", "merge", "side"]);
    bench.refused(&bench.head(), Some(&tip), "it is not signed").await;
}
