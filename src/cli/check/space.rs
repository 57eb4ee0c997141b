//! Room on the disks that a deployment fills.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::config::Settings;
use crate::deploy::SPACE;
use crate::model::finding::Finding;
use crate::paths;

/// Below this part of the whole, a hundredth each, it is time to look.
const LITTLE: u64 = 10;

/// One file system.
struct Room {
    place: PathBuf,
    free: u64,
    size: u64,
    inodes_free: u64,
    /// 0 where the file system makes them as it needs them.
    inodes: u64,
}

/// Each file system once, under the first place that lies on it.
pub fn look(settings: &Settings) -> Vec<Finding> {
    let app = &settings.app;
    let mut places = vec![
        paths::releases(app),
        paths::built(app),
        paths::fetched(app),
        PathBuf::from(paths::STATE),
        paths::backups(app),
    ];
    if settings.database.is_some() {
        // Where a twin will lie.
        places.push(PathBuf::from(paths::CLUSTERS));
    }
    let mut systems: BTreeMap<u64, Room> = BTreeMap::new();
    for place in places {
        if let (Ok(meta), Some(room)) = (std::fs::metadata(&place), room(&place)) {
            systems.entry(meta.dev()).or_insert(room);
        }
    }
    systems.values().flat_map(rules).collect()
}

fn room(place: &Path) -> Option<Room> {
    let stat = statvfs(place).ok()?;
    Some(Room {
        place: place.to_owned(),
        free: stat.blocks_available() * stat.fragment_size(),
        size: stat.blocks() * stat.fragment_size(),
        inodes_free: stat.files_available(),
        inodes: stat.files(),
    })
}

fn rules(room: &Room) -> Vec<Finding> {
    let place = room.place.display();
    let percent = room.free.saturating_mul(100).checked_div(room.size).unwrap_or(100);
    let free = room.free >> 20;
    let mend = format!("sudo du -xh --max-depth=3 {place} | sort -h | tail");
    let mut found = vec![if room.free < SPACE {
        let least = SPACE >> 20;
        let what = format!("{free} MiB are free at {place}, and a deployment needs {least} MiB at least");
        Finding::bad("disk", what).mend(mend)
    } else if percent < LITTLE {
        Finding::warning("disk", format!("{percent} % are free at {place} ({free} MiB)")).mend(mend)
    } else {
        Finding::ok("disk", format!("{percent} % are free at {place} ({free} MiB)"))
    }];
    let inodes = room.inodes_free.saturating_mul(100).checked_div(room.inodes);
    if let Some(percent) = inodes.filter(|percent| *percent < LITTLE) {
        let what = format!("{percent} % of the inodes are free at {place}");
        let mend = format!("sudo du -x --inodes --max-depth=3 {place} | sort -n | tail");
        found.push(if percent == 0 { Finding::bad("disk", what) } else { Finding::warning("disk", what) }.mend(mend));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level::{self, *};

    fn levels(free: u64, size: u64, inodes_free: u64, inodes: u64) -> Vec<Level> {
        let room = Room { place: "/srv".into(), free, size, inodes_free, inodes };
        rules(&room).iter().map(|found| found.level).collect()
    }

    #[test]
    fn little_room_is_a_warning_and_too_little_is_bad() {
        const GIB: u64 = 1 << 30;
        assert_eq!(levels(50 * GIB, 100 * GIB, 50, 100), [Ok]);
        assert_eq!(levels(9 * GIB, 100 * GIB, 50, 100), [Warning]);
        assert_eq!(levels(GIB / 8, GIB / 4, 50, 100), [Bad], "half of it is free, and it is still too little");
        assert_eq!(levels(50 * GIB, 100 * GIB, 9, 100), [Ok, Warning]);
        assert_eq!(levels(50 * GIB, 100 * GIB, 0, 100), [Ok, Bad]);
        assert_eq!(levels(50 * GIB, 100 * GIB, 0, 0), [Ok], "a file system without a table of inodes");
    }
}
