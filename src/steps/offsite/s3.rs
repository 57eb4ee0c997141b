//! A store that speaks S3. Every byte that is carried is checked by what the store says it has.

mod talk;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use reqwest::{Client, Method, Response, StatusCode, Url};
use rusty_s3::actions::{CreateMultipartUpload, ListObjectsV2, ListParts};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde::Deserialize;

use crate::config::Offsite;
use crate::model::journal::Cause;
use crate::steps::files::{self, hex, on};

/// A part of a large file; the store takes ten thousand of them.
const PART: u64 = 16 << 20;
const MOST_PARTS: u64 = 9_000;
/// How long a signature is good for.
const SIGNED: Duration = Duration::from_mins(15);
/// Time to connect, and between two signs of life.
const CONNECT: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_mins(2);

/// What we ourselves say of a content, where the store says something else: whether a bucket encrypts with a key of its
/// owner (SSE-KMS) is not ours to choose, and then its ETag looks like an MD5 and is none. The store has compared the
/// content with the MD5 that came with it before it took this.
const TOLD: &str = "x-amz-meta-md5";
const ENCRYPTION: &str = "x-amz-server-side-encryption";

/// A file in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Size in bytes.
    pub size: u64,
    /// What the store says of its content: made of MD5 in nearly all stores.
    pub etag: String,
}

/// The store.
pub struct Store {
    bucket: Bucket,
    credentials: Credentials,
    client: Client,
    prefix: String,
    /// Uploads of large files that were begun.
    uploads: PathBuf,
}

/// Root's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    access_key_id: String,
    secret_access_key: String,
}

impl Store {
    /// The store that the settings name, with the credentials in this file.
    ///
    /// # Errors
    /// If these cannot be read.
    pub fn new(offsite: &Offsite, credentials: &Path, uploads: &Path) -> Result<Self, Cause> {
        let text = fs::read_to_string(credentials).map_err(on(credentials))?;
        // What stands there is secret, so it is not repeated.
        let secret: Secret = toml::from_str(&text).map_err(|_| {
            Cause::new(format!("{} is not a file of credentials", offsite.credentials.display()))
                .hint("two lines: access_key_id = \"…\" and secret_access_key = \"…\"")
        })?;
        let wrong = |error: &dyn std::error::Error| Cause::new(format!("offsite.endpoint cannot be used: {error}"));
        let endpoint: Url = offsite.endpoint.parse().map_err(|error| wrong(&error))?;
        let bucket = Bucket::new(endpoint, UrlStyle::Path, offsite.bucket.clone(), offsite.region.clone());
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        Ok(Self {
            bucket: bucket.map_err(|error| wrong(&error))?,
            credentials: Credentials::new(secret.access_key_id, secret.secret_access_key),
            client: client.map_err(|error| wrong(&error))?,
            prefix: if offsite.prefix.is_empty() { String::new() } else { format!("{}/", offsite.prefix) },
            uploads: uploads.to_owned(),
        })
    }

    /// As a person writes it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.prefix.trim_end_matches('/'))
    }

    /// Everything below a prefix.
    ///
    /// # Errors
    /// If the store cannot be asked, or refuses.
    pub async fn list(&self, below: &str) -> Result<BTreeMap<String, Thing>, Cause> {
        let (mut found, mut token) = (BTreeMap::new(), None::<String>);
        loop {
            let text = self
                .ask(Method::GET, "list it", &[], &[], || {
                    let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
                    action.with_prefix(format!("{}{below}", self.prefix));
                    if let Some(token) = &token {
                        action.with_continuation_token(token.clone());
                    }
                    action.sign(SIGNED)
                })
                .await?
                .text()
                .await
                .map_err(|error| self.broken("list it", error))?;
            let page = ListObjectsV2::parse_response(&text).map_err(|error| self.strange("list it", &error))?;
            for thing in page.contents {
                let key = thing.key.strip_prefix(&self.prefix).unwrap_or(&thing.key).to_owned();
                let etag = thing.etag.unwrap_or_default().trim_matches('"').to_owned();
                found.insert(key, Thing { size: thing.size.unwrap_or_default(), etag });
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Carries a file there, unless it is there; how many bytes had to be carried.
    ///
    /// # Errors
    /// If the store refuses or has something else under this name, or the file cannot be read.
    pub async fn put(&self, key: &str, path: &Path, there: Option<&Thing>) -> Result<u64, Cause> {
        let file = File::open(path).map_err(on(path))?;
        let size = file.metadata().map_err(on(path))?.len();
        let part = PART.max(size.div_ceil(MOST_PARTS));
        let whole = format!("{}{key}", self.prefix);
        let mine = etag(&file, size, part).map_err(on(path))?;
        if let Some(thing) = there {
            if thing.size == size && self.is(&whole, thing, &mine).await? {
                // An attempt may have died when all was there.
                files::remove(&self.note(key))?;
                return Ok(0);
            }
            let what = format!("{} has something else under the name {whole}", self.place());
            return Err(Cause::new(what).hint("nothing is written over there: look at it, and move it away"));
        }
        if size <= part {
            let body = read(&file, 0, size).map_err(on(path))?;
            self.send(key, &body, Some(&mine), || self.bucket.put_object(Some(&self.credentials), &whole)).await?;
            return Ok(size);
        }
        let carried = self.put_parts(key, &whole, &file, path, part, &mine).await?;
        let now = self.list(key).await?;
        let is = match now.get(key) {
            Some(thing) => thing.size == size && self.is(&whole, thing, &mine).await?,
            None => false,
        };
        if !is {
            return Err(Cause::new(format!("{} does not have what was sent as {whole}", self.place())));
        }
        files::remove(&self.note(key))?;
        Ok(carried)
    }

    /// Whether a thing has the content that `mine` tells of. An ETag proves it; where it is another one, it proves the
    /// opposite only if it is made of the content.
    async fn is(&self, whole: &str, thing: &Thing, mine: &str) -> Result<bool, Cause> {
        if thing.etag == mine {
            return Ok(true);
        }
        let look = || self.bucket.head_object(Some(&self.credentials), whole).sign(SIGNED);
        let answer = self.ask(Method::HEAD, whole, &[], &[], look).await?;
        let of_content = is_md5(thing.etag.split('-').next().unwrap_or_default()) && !has_own_key(&answer);
        let told = answer.headers().get(TOLD).and_then(|told| told.to_str().ok());
        Ok(!of_content && told == Some(mine))
    }

    /// A large file, part by part: those that are there are not sent again.
    async fn put_parts(
        &self,
        key: &str,
        whole: &str,
        file: &File,
        path: &Path,
        part: u64,
        mine: &str,
    ) -> Result<u64, Cause> {
        let size = file.metadata().map_err(on(path))?.len();
        let (upload, there) = self.upload(key, whole, mine).await?;
        let (mut etags, mut carried) = (Vec::new(), 0);
        for (number, from) in (1..).zip((0..size).step_by(usize::try_from(part).unwrap_or(usize::MAX))) {
            let body = read(file, from, part.min(size - from)).map_err(on(path))?;
            let mut etag = hex(&Md5::digest(&body));
            if there.get(&number) != Some(&etag) {
                let action = || self.bucket.upload_part(Some(&self.credentials), whole, number, &upload);
                // It knows the part by what it said, whatever that is.
                etag = self.send(key, &body, None, action).await?;
                carried += body.len() as u64;
            }
            etags.push(etag);
        }
        let complete = || {
            self.bucket.complete_multipart_upload(
                Some(&self.credentials),
                whole,
                &upload,
                etags.iter().map(String::as_str),
            )
        };
        let body = complete().body();
        self.ask(Method::POST, key, body.as_bytes(), &[], || complete().sign(SIGNED)).await?;
        Ok(carried)
    }

    /// The upload that was begun and its parts, or a new one. It is noted before a byte is sent.
    async fn upload(&self, key: &str, whole: &str, mine: &str) -> Result<(String, BTreeMap<u16, String>), Cause> {
        let note = self.note(key);
        if let Ok(upload) = fs::read_to_string(&note)
            && let Some(parts) = self.parts(whole, &upload).await?
        {
            return Ok((upload, parts));
        }
        let begin = || {
            let mut action = self.bucket.create_multipart_upload(Some(&self.credentials), whole);
            action.headers_mut().insert(TOLD, mine.to_owned());
            action.sign(SIGNED)
        };
        let answer = self.ask(Method::POST, key, &[], &[(TOLD, mine)], begin).await?;
        let text = answer.text().await.map_err(|error| self.broken(key, error))?;
        let made = CreateMultipartUpload::parse_response(&text).map_err(|error| self.strange(key, &error))?;
        let upload = made.upload_id().to_owned();
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&self.uploads)?;
            let mut file = File::create(note.with_extension("new"))?;
            file.write_all(upload.as_bytes())?;
            file.sync_all()?;
            fs::rename(note.with_extension("new"), &note)
        };
        write().map_err(on(&note))?;
        Ok((upload, BTreeMap::new()))
    }

    /// The parts of an upload; `None` if the store does not know it any more.
    async fn parts(&self, whole: &str, upload: &str) -> Result<Option<BTreeMap<u16, String>>, Cause> {
        let (mut found, mut marker) = (BTreeMap::new(), None);
        loop {
            let answer = self
                .request(Method::GET, "look what is there", &[], &[], || {
                    let mut action = self.bucket.list_parts(Some(&self.credentials), whole, upload);
                    if let Some(marker) = marker {
                        action.set_part_number_marker(marker);
                    }
                    action.sign(SIGNED)
                })
                .await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let answer = self.good("look what is there", answer).await?;
            let text = answer.text().await.map_err(|error| self.broken("look what is there", error))?;
            let page = ListParts::parse_response(&text).map_err(|error| self.strange("look what is there", &error))?;
            found.extend(page.parts.into_iter().map(|part| (part.number, part.etag.trim_matches('"').to_owned())));
            marker = page.next_part_number_marker.filter(|next| Some(*next) != marker && *next > 0);
            if marker.is_none() {
                return Ok(Some(found));
            }
        }
    }

    fn note(&self, key: &str) -> PathBuf {
        self.uploads.join(hex(&Md5::digest(key)))
    }

    /// Sends bytes, whose MD5 the store compares; and so is what it says it has, which is the answer. `told` is kept
    /// with it.
    async fn send<'a, A: S3Action<'a>>(
        &self,
        what: &str,
        body: &[u8],
        told: Option<&str>,
        action: impl Fn() -> A,
    ) -> Result<String, Cause> {
        let digest = Md5::digest(body);
        let md5 = STANDARD.encode(digest);
        let mut headers = vec![("content-md5", md5.as_str())];
        headers.extend(told.map(|told| (TOLD, told)));
        let sign = || {
            let mut action = action();
            for (name, value) in &headers {
                action.headers_mut().insert((*name).to_owned(), (*value).to_owned());
            }
            action.sign(SIGNED)
        };
        let answer = self.ask(Method::PUT, what, body, &headers, sign).await?;
        let said = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default();
        let said = said.trim_matches('"');
        if is_md5(said) && said != hex(&digest) && !has_own_key(&answer) {
            return Err(Cause::new(format!("{} does not have what was sent as {what}", self.place())));
        }
        Ok(said.to_owned())
    }

    /// Brings a file back, from where an attempt before stopped. What comes is the store's word, to be compared.
    ///
    /// # Errors
    /// If the store cannot be asked or does not have it.
    pub async fn get(&self, key: &str, to: &Path) -> Result<(), Cause> {
        let mut file = File::options().create(true).append(true).open(to).map_err(on(to))?;
        let have = file.seek(SeekFrom::End(0)).map_err(on(to))?;
        let whole = format!("{}{key}", self.prefix);
        let range = format!("bytes={have}-");
        let headers = if have > 0 { vec![("range", range.as_str())] } else { Vec::new() };
        let sign = || self.bucket.get_object(Some(&self.credentials), &whole).sign(SIGNED);
        let answer = self.request(Method::GET, key, &[], &headers, sign).await?;
        // All of it is there: the digest says whether it is right.
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(());
        }
        let mut answer = self.good(key, answer).await?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            file.set_len(0).map_err(on(to))?;
        }
        while let Some(bytes) = answer.chunk().await.map_err(|error| self.broken(key, error))? {
            file.write_all(&bytes).map_err(on(to))?;
        }
        file.sync_all().map_err(on(to))
    }
}

fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether the store encrypts this with a key of the bucket's owner, so that its ETag tells nothing about the content.
fn has_own_key(answer: &Response) -> bool {
    answer.headers().get(ENCRYPTION).is_some_and(|how| how.as_bytes().starts_with(b"aws:kms"))
}

fn read(file: &File, from: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; usize::try_from(bytes).unwrap_or_default()];
    file.read_exact_at(&mut body, from)?;
    Ok(body)
}

/// What the store says of a file that came in one piece, or in parts.
pub(super) fn etag(file: &File, size: u64, part: u64) -> std::io::Result<String> {
    let mut all = Vec::new();
    for from in (0..size.max(1)).step_by(usize::try_from(part).unwrap_or(usize::MAX)) {
        let mut digest = Md5::new();
        let mut left = part.min(size - from);
        let mut at = from;
        while left > 0 {
            let bytes = read(file, at, left.min(1 << 20))?;
            digest.update(&bytes);
            at += bytes.len() as u64;
            left -= bytes.len() as u64;
        }
        all.push(digest.finalize());
    }
    if size <= part {
        return Ok(all.first().map(|digest| hex(digest)).unwrap_or_default());
    }
    let joined: Vec<u8> = all.iter().flat_map(|digest| digest.iter().copied()).collect();
    Ok(format!("{}-{}", hex(&Md5::digest(joined)), all.len()))
}
