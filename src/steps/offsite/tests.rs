//! Against a real server that speaks S3 and checks signatures and rights: moto's, which `scripts/test` installs.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::config::Offsite;
use crate::steps::sealed;
use crate::steps::testing::{Bench, write};

/// Where `scripts/lib/host.sh` puts it.
const PYTHON: &str = "/var/cache/tsh-agent-tests/store/venv/bin/python";
const FIRST: &str = "20260101T000000Z";
const SECOND: &str = "20260102T000000Z";

/// The server, with a bucket `backups`, and a user who may list, read and write in it, and not delete.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/store");

struct Server {
    child: Child,
    endpoint: String,
    access: String,
    secret: String,
    /// Who may do everything.
    owner: (String, String),
}

impl Server {
    /// Does something in the store as its owner.
    fn does(&self, what: &str) {
        assert_eq!(self.says((&self.owner.0, &self.owner.1), what), "");
    }

    /// What the store says of it, if it refuses.
    fn says(&self, (access, secret): (&str, &str), what: &str) -> String {
        let script = format!(
            "import boto3\ns3 = boto3.client('s3', endpoint_url={:?}, region_name='us-east-1', aws_access_key_id={access:?}, \
             aws_secret_access_key={secret:?})\nkeys = [o['Key'] for o in s3.list_objects_v2(Bucket='backups')['Contents']]\n{what}\n",
            self.endpoint
        );
        let done = Command::new(PYTHON).args(["-c", &script]).output().unwrap();
        String::from_utf8(done.stderr).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// `None` where it is not installed.
fn server() -> Option<Server> {
    server_with(&[])
}

#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn server_with(options: &[&str]) -> Option<Server> {
    if !Path::new(PYTHON).exists() {
        eprintln!("skipped: no S3 server is installed; scripts/test installs it");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = Command::new(PYTHON)
        .args([SERVER, &port.to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let keys: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let [access, secret, owner, owners] = keys.try_into().expect("the server says its keys");
    Some(Server { child, endpoint: format!("http://127.0.0.1:{port}"), access, secret, owner: (owner, owners) })
}

/// A machine with two backups that share an object.
struct Place {
    bench: Bench,
    home: PathBuf,
}

impl Place {
    async fn new(server: &Server) -> Self {
        let mut bench = Bench::new();
        let credentials = bench.root().join("credentials/offsite");
        write(&credentials, &format!("access_key_id = {:?}\nsecret_access_key = {:?}\n", server.access, server.secret));
        bench.settings.offsite = Some(Offsite {
            bucket: "backups".to_owned(),
            prefix: "here/it is".replace(' ', "-"),
            endpoint: server.endpoint.clone(),
            region: "us-east-1".to_owned(),
            credentials,
        });
        let home = bench.at(&paths::backups(bench.app()));
        fs::create_dir_all(bench.at(&paths::offsite(bench.app())).join("sent")).unwrap();
        let place = Self { bench, home };
        for name in [FIRST, SECOND] {
            place.back_up(name, &format!("the dump of {name}")).await;
        }
        place
    }

    async fn back_up(&self, name: &str, dump: &str) {
        let uploads = self.bench.at(&paths::home(self.bench.app())).join("shared/uploads");
        write(&uploads.join("of all"), "the same");
        write(&uploads.join(name), name);
        let folder = self.home.join(name);
        let mut manifest = crate::model::backup::testing::manifest(name);
        manifest.folders = vec!["uploads".to_owned()];
        for (file, path, text) in [(&mut manifest.dump, DUMP, dump), (&mut manifest.globals, GLOBALS, "roles")] {
            write(&folder.join(path), text);
            *file = sealed::measure(text.as_bytes()).unwrap();
        }
        write(&folder.join(MANIFEST), &serde_json::to_string(&manifest).unwrap());
        let job = self.bench.job(0, Work::Folders { backup: name.parse().unwrap() });
        crate::steps::folders::run(&job).await.unwrap();
    }

    fn store(&self) -> Store {
        let offsite = self.bench.settings.offsite.as_ref().unwrap();
        Store::new(offsite, &offsite.credentials, &self.bench.at(&paths::offsite(self.bench.app())).join("uploads"))
            .unwrap()
    }

    async fn push(&self, names: &[&str]) -> Result<u64, Cause> {
        let backups = names.iter().map(|name| name.parse().unwrap()).collect();
        let mut job = self.bench.job(0, Work::Push { backups });
        job.credentials = Some(self.bench.root().join("credentials"));
        let Output::Sent { bytes, .. } = run(&job).await? else { panic!() };
        Ok(bytes)
    }

    fn is_noted(&self, name: &str) -> bool {
        sent_path(&self.bench.at(&paths::offsite(self.bench.app())).join("sent"), &name.parse().unwrap()).exists()
    }

    /// What another server that has nothing gets.
    async fn elsewhere(&self, name: Option<&str>) -> (tempfile::TempDir, Result<Brought, Cause>) {
        let home = tempfile::tempdir().unwrap();
        let name = name.map(|name| name.parse().unwrap());
        let brought = bring(&self.store(), self.bench.app(), home.path(), name.as_ref()).await;
        (home, brought)
    }
}

fn same(one: &Path, other: &Path) {
    let said = Command::new("diff").args(["-r"]).args([one, other]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

#[tokio::test]
async fn what_was_carried_comes_back_the_same_and_nothing_is_carried_twice() {
    let Some(server) = server() else { return };
    let place = Place::new(&server).await;
    assert!(place.push(&[FIRST]).await.unwrap() > 0);
    assert!(place.is_noted(FIRST) && !place.is_noted(SECOND));
    assert_eq!(place.push(&[FIRST]).await.unwrap(), 0, "it is there already");
    place.push(&[SECOND]).await.unwrap();
    let objects = place.store().list("erp/objects/").await.unwrap();
    assert_eq!(objects.len(), 3, "an object that two backups have is there once: {objects:?}");

    let (home, brought) = place.elsewhere(None).await;
    assert_eq!(brought.unwrap().name.as_str(), SECOND, "the newest");
    same(&place.home.join(SECOND), &home.path().join(SECOND));
    let brought = bring(&place.store(), place.bench.app(), home.path(), Some(&FIRST.parse().unwrap())).await.unwrap();
    assert_eq!(brought.objects, 0, "the objects of the first are among those of the second");
    same(&place.home.join(FIRST), &home.path().join(FIRST));
    for object in read_index(&home.path().join(SECOND).join(INDEX)).unwrap() {
        Objects::beside(home.path()).check(&object.0, object.1).unwrap();
    }
    assert!(bring(&place.store(), place.bench.app(), home.path(), None).await.unwrap().before);
    let cause = place.elsewhere(Some("20200101T000000Z")).await.1.unwrap_err();
    assert!(cause.what.ends_with("has no whole backup 20200101T000000Z") && cause.hint.unwrap().contains(SECOND));
}

#[tokio::test]
async fn an_upload_in_parts_that_died_is_gone_on_with() {
    let Some(server) = server() else { return };
    let place = Place::new(&server).await;
    let (store, path) = (place.store(), place.bench.root().join("large"));
    let mut whole: Vec<u8> = (0..3).flat_map(|part| vec![part; 16 << 20]).collect();
    whole.extend(b"and the rest");
    fs::write(&path, &whole).unwrap();
    // As soon as it has begun, the file is cut off: that ends it after one part, which is what a kill leaves in the store.
    let uploads = place.bench.at(&paths::offsite(place.bench.app())).join("uploads");
    let cut = std::future::poll_fn(|_| {
        if fs::read_dir(&uploads).is_ok_and(|mut notes| notes.next().is_some()) {
            File::options().write(true).open(&path).unwrap().set_len(20 << 20).unwrap();
        }
        std::task::Poll::<std::convert::Infallible>::Pending
    });
    let cause = tokio::select! {
        biased;
        never = cut => match never {},
        sent = store.put("erp/large", &path, None) => sent.unwrap_err(),
    };
    assert!(cause.what.contains("large"), "{cause:?}");
    assert!(store.list("erp/large").await.unwrap().is_empty(), "half a file has a name");
    fs::write(&path, &whole).unwrap();
    let rest = store.put("erp/large", &path, None).await.unwrap();
    assert_eq!(rest, whole.len() as u64 - (16 << 20), "the first part was carried again, or another was not");
    let there = store.list("erp/large").await.unwrap();
    assert_eq!(store.put("erp/large", &path, there.get("erp/large")).await.unwrap(), 0);
    store.get("erp/large", &place.bench.root().join("back")).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(place.bench.root().join("back")).unwrap());

    // A download that died goes on as well.
    let half = File::options().write(true).open(place.bench.root().join("back")).unwrap();
    half.set_len(20 << 20).unwrap();
    store.get("erp/large", &place.bench.root().join("back")).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(place.bench.root().join("back")).unwrap());
}

/// What is changed in the store, how (`None`: it is taken away), and what is said of it.
const DAMAGES: [(&str, Option<&str>, &str); 14] = [
    (DUMP, Some("flipped"), "does not have what was sent"),
    (DUMP, Some("body[:-7]"), "does not have what was sent"),
    (DUMP, Some("b''"), "does not have what was sent"),
    (DUMP, None, "NoSuchKey"),
    (GLOBALS, Some("flipped"), "does not have what was sent"),
    (LISTING, Some("flipped"), "does not have what was sent"),
    (INDEX, Some("b''"), "does not have what was sent"),
    (FILES, None, "NoSuchKey"),
    ("/objects/", Some("flipped"), "does not have what was sent"),
    ("/objects/", Some("body[:-1]"), "does not have what was sent"),
    ("/objects/", None, "NoSuchKey"),
    (MANIFEST, Some("body[:len(body) // 2]"), "EOF"),
    (MANIFEST, Some("body.replace(b'\"server\":1', b'\"server\":2')"), "belongs to another manifest"),
    (MANIFEST, Some("body.replace(b'\"app\":\"erp\"', b'\"app\":\"crm\"')"), "has the manifest of"),
];

#[tokio::test]
async fn damage_in_the_store_is_found_and_nothing_there_is_written_over() {
    let Some(server) = server() else { return };
    let place = Place::new(&server).await;
    place.push(&[FIRST]).await.unwrap();
    for (file, damage, said) in DAMAGES {
        let what = format!("{file}: {damage:?}");
        let pick = format!("key = next(k for k in keys if {file:?} in k)\n");
        server.does(&format!(
            "{pick}s3.copy_object(Bucket='backups', Key='shelf', CopySource='backups/' + key)\n\
             body = s3.get_object(Bucket='backups', Key=key)['Body'].read()\n\
             flipped = body[:len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1:]\n{}",
            match damage {
                Some(damage) =>
                    format!("assert body != {damage}\ns3.put_object(Bucket='backups', Key=key, Body={damage})"),
                None => "s3.delete_object(Bucket='backups', Key=key)".to_owned(),
            }
        ));
        let (home, brought) = place.elsewhere(Some(FIRST)).await;
        let cause = brought.unwrap_err();
        assert!(cause.what.contains(said), "{what}: {cause:?}");
        assert!(!home.path().join(FIRST).exists(), "{what}: it has its name");
        let again = place.push(&[FIRST]).await;
        if damage.is_none() {
            assert!(again.unwrap() > 0, "{what}: it was not carried again");
            continue;
        }
        let cause = again.unwrap_err();
        assert!(cause.what.contains("has something else under the name"), "{what}: {cause:?}");
        server.does(&format!("{pick}s3.copy_object(Bucket='backups', Key=key, CopySource='backups/shelf')"));
    }
    place.elsewhere(Some(FIRST)).await.1.unwrap();
    // Whoever has the server has its credentials, and can take nothing away with them.
    let gone = server.says((&server.access, &server.secret), "s3.delete_object(Bucket='backups', Key=keys[0])");
    assert!(gone.contains("AccessDenied"), "{gone}");
}

#[tokio::test]
async fn an_etag_that_is_no_md5_makes_nothing_good_look_bad_and_nothing_bad_good() {
    let Some(server) = server_with(&["--kms"]) else { return };
    let place = Place::new(&server).await;
    assert!(place.push(&[FIRST]).await.unwrap() > 0);
    assert_eq!(place.push(&[FIRST]).await.unwrap(), 0, "it is there already");
    place.elsewhere(Some(FIRST)).await.1.unwrap();

    let (store, path, back) = (place.store(), place.bench.root().join("large"), place.bench.root().join("back"));
    fs::write(&path, [vec![1; 16 << 20], b"and the rest".to_vec()].concat()).unwrap();
    let size = store.put("erp/large", &path, None).await.unwrap();
    let there = store.list("erp/large").await.unwrap();
    let thing = &there["erp/large"];
    assert_ne!(thing.etag, s3::etag(&File::open(&path).unwrap(), size, 16 << 20).unwrap(), "the store hides it");
    assert_eq!(store.put("erp/large", &path, Some(thing)).await.unwrap(), 0);
    store.get("erp/large", &back).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(back).unwrap());

    // As long as what it should be.
    server.does(&format!(
        "key = next(k for k in keys if {DUMP:?} in k)\nbody = s3.get_object(Bucket='backups', Key=key)['Body'].read()\n\
         s3.put_object(Bucket='backups', Key=key, Body=body[::-1])"
    ));
    let cause = place.push(&[FIRST]).await.unwrap_err();
    assert!(cause.what.contains("has something else under the name"), "{cause:?}");
}

#[tokio::test]
async fn a_backup_without_its_manifest_is_none() {
    let Some(server) = server() else { return };
    let place = Place::new(&server).await;
    let folder = place.home.join(FIRST);
    let store = place.store();
    store.put("erp/backups/20260101T000000Z/db.dump.zst", &folder.join(DUMP), None).await.unwrap();
    let cause = place.elsewhere(None).await.1.unwrap_err();
    assert_eq!(cause.what, "s3://backups/here/it-is has no backup of erp");
    // What was there is not carried again.
    place.push(&[FIRST]).await.unwrap();
    assert!(place.is_noted(FIRST));
}

#[tokio::test]
async fn what_is_wrong_with_the_store_is_one_clear_error() {
    let Some(mut server) = server() else { return };
    let place = Place::new(&server).await;
    let wrong = |text: &str| write(&place.bench.root().join("credentials/offsite"), text);
    let right = fs::read_to_string(place.bench.root().join("credentials/offsite")).unwrap();
    for (text, said) in [
        ("access_key_id = \"nobody\"\nsecret_access_key = \"x\"\n", "InvalidAccessKeyId"),
        (&right.replace("secret_access_key = \"", "secret_access_key = \"x")[..], "SignatureDoesNotMatch"),
        ("hunter2", "is not a file of credentials"),
    ] {
        wrong(text);
        let cause = place.push(&[FIRST]).await.unwrap_err();
        assert!(cause.what.contains(said) && cause.hint.is_some(), "{cause:?}");
        assert!(!cause.what.contains("hunter2") && !cause.what.contains("X-Amz"), "a secret is told: {cause:?}");
    }
    wrong(&right);
    let mut place = place;
    place.bench.settings.offsite.as_mut().unwrap().bucket = "nowhere".to_owned();
    let cause = place.push(&[FIRST]).await.unwrap_err();
    assert!(cause.what.contains("NoSuchBucket") || cause.what.contains("AccessDenied"), "{cause:?}");
    place.bench.settings.offsite.as_mut().unwrap().bucket = "backups".to_owned();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let cause = place.push(&[FIRST]).await.unwrap_err();
    assert!(cause.what.starts_with("s3://backups/here/it-is cannot be reached for list it: "), "{cause:?}");
    assert!(!place.is_noted(FIRST));
}
