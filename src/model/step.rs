//! The steps of a deployment: their order, and what each one means for production.

use serde::{Deserialize, Serialize};

use super::journal::Inspected;
use super::lane::Lane;

/// A step forward, or a step back. The stored names are a promise: a deployment begun by one
/// version of the agent may be finished by the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Bring the mirror up to date, resolve to one commit, export its tree.
    Fetch,
    /// Ask the gates that need no more than the revision.
    Gates,
    /// Make the environment and run the build commands.
    Build,
    /// Copy what was built into a release that nobody can change.
    Seal,
    /// Look at the database, the disk and the units; choose the lane.
    Inspect,
    /// Ask all gates again, now that the pending migrations are known; approval is one of them.
    Clearance,
    /// Back up the database.
    Backup,
    /// Run the pending migrations on a copy made from a backup, try both releases on it; choose the lane.
    Rehearse,
    /// Start the new release in the idle slot, where no request reaches it.
    Stage,
    /// Let the new slot accept requests, and the old one finish those it has.
    HandOver,
    /// Restore a backup into a database beside the live one, and compare.
    Load,
    /// Close the door: nginx answers 503.
    Close,
    /// Stop the units of the application.
    Stop,
    /// Take the right to connect away from everybody but the migration, and end sessions.
    Fence,
    /// Copy the database behind the fence: the rollback point.
    Twin,
    /// Run the pending migrations.
    Migrate,
    /// Make the restored database the live one, and keep the live one aside.
    Swap,
    /// Point the link at the new release.
    Switch,
    /// Let the application's own role connect again, still behind the closed door.
    Admit,
    /// Start the units that answer requests.
    Start,
    /// Probe the new release.
    Probe,
    /// Lift the fence and open the door: the commit point of the fenced lane.
    Open,
    /// Start workers and timers.
    Workers,
    /// Watch it all for a while.
    Bake,
    /// Record the release as the good one.
    Settle,
    /// Count what only the database has that was kept aside.
    Count,
    /// Delete what is no longer needed.
    Prune,

    /// Stop what runs of the new release.
    Halt,
    /// Decide about the database, and swap the twin back where that is right.
    Restore,
    /// Point the link at the old release.
    SwitchBack,
    /// Give everybody the right to connect back, as it was.
    Unfence,
    /// Start the old release.
    Return,
    /// Probe the old release.
    Reprobe,
    /// Open the door again.
    Reopen,
    /// Start the old release's workers and timers.
    ReturnWorkers,
}

use Step::*;

impl Step {
    /// Every step, forward ones first.
    pub const ALL: [Self; 35] = [
        Fetch,
        Gates,
        Build,
        Seal,
        Inspect,
        Clearance,
        Backup,
        Rehearse,
        Stage,
        HandOver,
        Load,
        Close,
        Stop,
        Fence,
        Twin,
        Migrate,
        Swap,
        Switch,
        Admit,
        Start,
        Probe,
        Open,
        Workers,
        Bake,
        Settle,
        Count,
        Prune,
        Halt,
        Restore,
        SwitchBack,
        Unfence,
        Return,
        Reprobe,
        Reopen,
        ReturnWorkers,
    ];

    /// The word people read, and the value of `TSH_STEP` in the journal.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Fetch => "fetch",
            Gates => "gates",
            Build => "build",
            Seal => "seal",
            Inspect => "inspect",
            Clearance => "clearance",
            Backup => "backup",
            Rehearse => "rehearse",
            Stage => "stage",
            HandOver => "hand-over",
            Load => "load",
            Close => "close",
            Stop => "stop",
            Fence => "fence",
            Twin => "twin",
            Migrate => "migrate",
            Swap => "swap",
            Switch => "switch",
            Admit => "admit",
            Start => "start",
            Probe => "probe",
            Open => "open",
            Workers => "workers",
            Bake => "bake",
            Settle => "settle",
            Count => "count",
            Prune => "prune",
            Halt => "halt",
            Restore => "restore",
            SwitchBack => "switch-back",
            Unfence => "unfence",
            Return => "return",
            Reprobe => "reprobe",
            Reopen => "reopen",
            ReturnWorkers => "return-workers",
        }
    }

    /// The kind of step unit that does it; `None` where the core does it itself.
    #[must_use]
    pub fn unit_kind(self) -> Option<&'static str> {
        match self {
            Fetch => Some("fetch"),
            Gates | Clearance => Some("gates"),
            Build => Some("build"),
            Seal => Some("seal"),
            Inspect => Some("inspect"),
            Backup => Some("backup"),
            Rehearse => Some("rehearse"),
            Load => Some("restore"),
            Migrate => Some("migrate"),
            Probe | Bake | Reprobe => Some("probe"),
            Prune => Some("prune"),
            Stage | HandOver | Close | Stop | Fence | Twin | Swap | Switch | Admit | Start | Open | Workers
            | Settle | Count | Halt | Restore | SwitchBack | Unfence | Return | Reopen | ReturnWorkers => None,
        }
    }

    /// Whether it undoes.
    #[must_use]
    pub fn is_back(self) -> bool {
        self >= Halt
    }

    /// Whether production can feel it. From the first intent of such a step on, a failure is undone.
    #[must_use]
    pub fn touches(self) -> bool {
        !matches!(
            self,
            Fetch | Gates | Build | Seal | Inspect | Clearance | Backup | Rehearse | Load | Settle | Count | Prune
        )
    }

    /// Whether what it did is gone after a reboot, because it lives in processes and not on disk.
    #[must_use]
    pub fn is_volatile(self) -> bool {
        matches!(self, Stage | HandOver | Start | Probe | Workers | Bake | Halt | Return | Reprobe | ReturnWorkers)
    }

    /// Whether it only looks, so that doing it again is harmless when somebody killed it.
    #[must_use]
    pub fn only_looks(self) -> bool {
        matches!(self, Gates | Inspect | Clearance | Rehearse | Probe | Bake | Reprobe)
    }

    /// Whether its failure leaves the result as it is.
    #[must_use]
    pub fn is_optional(self) -> bool {
        matches!(self, Count | Prune)
    }

    /// The steps in order: for a release that must be made first or for one that is kept, and as far as they are
    /// known before a lane is chosen. `lane` is the one that is chosen in the end; with
    /// `slots` one of two slots serves, and the new release can be started in the other.
    #[must_use]
    pub fn plan(inspected: Option<&Inspected>, lane: Option<Lane>, release_exists: bool, slots: bool) -> Vec<Self> {
        let mut plan = if release_exists { vec![Inspect] } else { vec![Fetch, Gates, Build, Seal, Inspect] };
        let Some(inspected) = inspected else { return plan };
        // A rollback is never gated.
        plan.extend((!release_exists).then_some(Clearance));
        if inspected.lane == Lane::Fenced {
            plan.extend(inspected.backup.then_some(Backup));
            plan.extend(inspected.rehearse.then_some(Rehearse));
        }
        match lane {
            None => {}
            Some(Lane::Code | Lane::Online) if slots => {
                plan.extend((lane == Some(Lane::Online)).then_some(Migrate));
                plan.extend([Stage, Probe, HandOver, Stop, Switch, Workers, Bake, Settle, Prune]);
            }
            Some(Lane::Code) => plan.extend([Stop, Switch, Start, Probe, Workers, Bake, Settle, Prune]),
            // The old release serves until the new schema is there, and could go on serving.
            Some(Lane::Online) => plan.extend([Migrate, Stop, Switch, Start, Probe, Workers, Bake, Settle, Prune]),
            Some(Lane::Stop) => {
                plan.extend([Stop, Backup, Migrate, Switch, Start, Probe, Workers, Bake, Settle, Prune]);
            }
            Some(Lane::Fenced) => plan.extend([
                Close, Stop, Fence, Twin, Migrate, Switch, Admit, Start, Probe, Open, Workers, Bake, Settle, Prune,
            ]),
        }
        plan
    }

    /// The steps in order that put a backup in the live database's place.
    #[must_use]
    pub fn restore_plan() -> Vec<Self> {
        vec![
            Inspect, Load, Close, Stop, Fence, Swap, Switch, Admit, Start, Probe, Open, Workers, Bake, Settle, Count,
            Prune,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_name_is_the_word() {
        for step in Step::ALL {
            assert_eq!(serde_json::to_value(step).unwrap(), step.word());
        }
    }

    #[test]
    fn nothing_happens_before_it_must() {
        let plans = [
            (Lane::Code, true),
            (Lane::Code, false),
            (Lane::Online, true),
            (Lane::Online, false),
            (Lane::Fenced, false),
        ];
        let plans = plans.map(|(lane, slots)| {
            let seen = if lane == Lane::Online { Lane::Fenced } else { lane };
            let inspected = Inspected { rehearse: true, ..Inspected::nothing(seen) };
            let plan = Step::plan(Some(&inspected), Some(lane), false, slots);
            assert_eq!(plan.contains(&Rehearse), lane != Lane::Code, "{lane:?}");
            plan
        });
        for plan in plans.into_iter().chain([Step::restore_plan()]) {
            let first = plan.iter().position(|step| step.touches()).unwrap();
            assert!(plan[first..].iter().all(|step| step.touches() || *step >= Settle), "{plan:?}");
        }
    }

    #[test]
    fn what_the_settings_leave_out_is_left_out() {
        let plan = |backup, rehearse| {
            let inspected = Inspected { backup, rehearse, ..Inspected::nothing(Lane::Fenced) };
            Step::plan(Some(&inspected), Some(Lane::Fenced), true, false)[1..4].to_vec()
        };
        assert_eq!(plan(true, true), [Backup, Rehearse, Close]);
        assert_eq!(plan(true, false), [Backup, Close, Stop]);
        assert_eq!(plan(false, true), [Rehearse, Close, Stop]);
        assert_eq!(plan(false, false), [Close, Stop, Fence]);
    }
}
