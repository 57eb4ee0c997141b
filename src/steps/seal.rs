//! Seals a release: copies what was built, as another user than the one who built it, into a folder that appears
//! only when it is complete and durable. From then on nobody but this step's user can change it.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use super::files::{self, on};
use super::output::say;
use super::{Job, Outcome, blocking, links, manifest, not_mine};
use crate::model::journal::{Cause, Output};
use crate::model::names::{ReleaseId, Sha};
use crate::model::request::Work;
use crate::paths;

/// Seals what was built.
pub async fn run(job: &Job) -> Outcome {
    let Work::Seal { revision } = &job.request.work else { return Err(not_mine()) };
    let (app, id) = (&job.settings.app, job.request.release);
    let home = job.at(&paths::home(app));
    let plan = Plan {
        built: job.at(&paths::built(app)).join(id.to_string()),
        releases: job.at(&paths::releases(app)),
        shared: home.join("shared"),
        id,
        revision: revision.clone(),
    };
    blocking(move || plan.seal()).await
}

struct Plan {
    built: std::path::PathBuf,
    releases: std::path::PathBuf,
    shared: std::path::PathBuf,
    id: ReleaseId,
    revision: Sha,
}

impl Plan {
    fn seal(&self) -> Outcome {
        self.clear_leftovers()?;
        let home = self.releases.join(self.id.to_string());
        if home.symlink_metadata().is_ok() {
            return self.sealed_before(&home);
        }
        let new = self.releases.join(format!(".new-{}", self.id));
        let outcome = self.copy(&new, &home);
        if outcome.is_err() {
            // Whatever is left is deleted by the next run; the first cause is the one to tell.
            files::remove(&new).ok();
        }
        outcome
    }

    /// What a crash left behind is never used.
    fn clear_leftovers(&self) -> Result<(), Cause> {
        for name in files::names(&self.releases)? {
            if name.to_string_lossy().starts_with(".new-") {
                files::remove(&self.releases.join(name))?;
            }
        }
        Ok(())
    }

    /// The step runs again after a crash behind its last act: the release is there, and must be what we would make.
    fn sealed_before(&self, home: &Path) -> Outcome {
        let header = manifest::verify(home)?;
        if (header.release, &header.revision) != (self.id, &self.revision) {
            return Err(Cause::new(format!(
                "{} is release {} of {} already",
                home.display(),
                header.release,
                header.revision.short()
            )));
        }
        files::sync_dir(&self.releases)?;
        say(&format!("release {} is sealed already, {} files", self.id, header.files));
        Ok(Output::Sealed { files: header.files, bytes: header.bytes })
    }

    fn copy(&self, new: &Path, home: &Path) -> Outcome {
        let items = files::copy(&self.built, new)?;
        if items.iter().any(|item| item.path == Path::new(manifest::NAME)) {
            return Err(Cause::new(format!("the build made a file {}, which is the agent's", manifest::NAME)));
        }
        links::check(new, home, &items, |out| self.may_point_at(out))?;
        let (header, lines) = manifest::describe(self.id, &self.revision, &items)?;
        manifest::write(new, &header, &lines)?;
        files::sync_all(new)?;
        std::fs::rename(new, home).map_err(on(home))?;
        files::sync_dir(&self.releases)?;
        let megabytes = header.bytes as f64 / 1e6;
        say(&format!("sealed release {}: {} files, {megabytes:.1} MB", self.id, header.files));
        Ok(Output::Sealed { files: header.files, bytes: header.bytes })
    }

    /// Outside, a release may use its shared folders, and what root installed below `/usr`, such as the interpreter.
    fn may_point_at(&self, out: &Path) -> bool {
        if out.components().any(|part| part == Component::ParentDir) {
            return false;
        }
        if out.strip_prefix(&self.shared).is_ok_and(|below| below != Path::new("")) {
            return true;
        }
        let Ok(real) = out.canonicalize() else { return false };
        real.starts_with("/usr") && real.metadata().is_ok_and(|meta| meta.is_file() && meta.uid() == 0)
    }
}

#[cfg(test)]
mod tests;
