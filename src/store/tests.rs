use super::*;
use crate::model::audit::{self, Record, Who};
use crate::model::gates::{Answer, Decision, Gate, Hold, HoldKind, Judgement, Override, Reply, Standing};
use crate::model::journal::{Entry, Fact, Felt, Fetched, Goal, Order, Output};
use crate::model::metrics::Ended;
use crate::model::outcome::Verdict;
use crate::model::step::Step;
use crate::model::trigger::Trigger;

fn order() -> Order {
    Order {
        goal: Goal::Revision(None),
        from: None,
        from_revision: None,
        revision: None,
        by: "olga".into(),
        force: false,
        slots: false,
        overrides: vec![],
        who: Default::default(),
        trigger: Trigger::Person,
    }
}

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state.db")).await.unwrap();
    (folder, store)
}

fn ended(verdict: Verdict) -> Entry {
    Entry { at: 2, boot: "b".into(), fact: Fact::Ended { verdict, note: None } }
}

#[tokio::test]
async fn only_one_deployment_of_an_application_runs() {
    let (_folder, store) = store().await;
    let (app, other) = ("erp".parse().unwrap(), "shop".parse().unwrap());
    let first = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    assert!(matches!(store.accept(&app, "deploy", "main", order(), 1, "b", None).await, Err(StoreError::Busy)));
    let second = store.accept(&other, "deploy", "main", order(), 1, "b", None).await.unwrap();
    assert!(second > first);
    store.append(&app, first, 1, &ended(Verdict::Failed)).await.unwrap();
    assert!(store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap() > second);
}

#[tokio::test]
async fn what_has_ended_is_counted_by_how_it_ended() {
    let (_folder, store) = store().await;
    let (app, other) = ("erp".parse().unwrap(), "shop".parse().unwrap());
    for (verdict, down_ms) in [(Verdict::Deployed, Some(0)), (Verdict::Failed, None), (Verdict::Deployed, Some(310))] {
        let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
        if let Some(down_ms) = down_ms {
            let felt = Fact::Felt(Felt { down_ms, ..Felt::default() });
            store.append(&app, id, 1, &Entry { at: 2, boot: "b".into(), fact: felt }).await.unwrap();
        }
        store.append(&app, id, 1 + usize::from(down_ms.is_some()), &ended(verdict)).await.unwrap();
    }
    // The clock was put back meanwhile; the last one has not ended.
    let id = store.accept(&other, "rollback", "1", order(), 9, "b", None).await.unwrap();
    store.append(&other, id, 1, &ended(Verdict::Deployed)).await.unwrap();
    store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    let down = |ended: &Ended| ended.downtime.as_ref().map(|down| (down.count, down.sum));
    let told = |(app, ended): (App, Ended)| {
        format!("{app} {} {} {} {} {:?}", ended.kind, ended.result, ended.count, ended.took, down(&ended))
    };
    let all: Vec<String> = store.ended().await.unwrap().into_iter().map(told).collect();
    assert_eq!(
        all,
        ["erp deploy deployed 2 2 Some((2, 310))", "erp deploy failed 1 1 None", "shop rollback deployed 1 0 None"]
    );
}

#[tokio::test]
async fn what_was_appended_is_read_back_after_opening_again() {
    let (folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    store.append(&app, id, 1, &ended(Verdict::RolledBack)).await.unwrap();
    drop(store);
    let store = Store::open(&folder.path().join("state.db")).await.unwrap();
    let journal = store.journal(id).await.unwrap();
    assert_eq!(journal.order(), Some(&order()));
    assert_eq!(journal.verdict(), Some(Verdict::RolledBack));
    assert_eq!(store.history(None, 10).await.unwrap()[0].state, "rolled-back");
    assert!(store.open_deployments().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_history_knows_what_caused_a_deployment() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let key = Trigger::ApiKey { name: "ci".parse().unwrap() };
    let id =
        store.accept(&app, "deploy", "main", Order { trigger: key.clone(), ..order() }, 1, "b", None).await.unwrap();
    assert_eq!(store.history(None, 10).await.unwrap()[0].trigger, key);
    assert_eq!(store.deployment(id).await.unwrap().unwrap().0.trigger, key);
    // What was accepted before there were triggers.
    sqlx::query("update journal set fact = json_remove(fact, '$.accepted.trigger')")
        .execute(&store.pool)
        .await
        .unwrap();
    assert_eq!(store.history(None, 10).await.unwrap()[0].trigger, Trigger::Person);
}

#[tokio::test]
async fn an_entry_is_never_written_over() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    assert!(store.append(&app, id, 0, &ended(Verdict::Failed)).await.is_err());
    assert_eq!(store.journal(id).await.unwrap().0.len(), 1);
    assert_eq!(store.open_deployments().await.unwrap().len(), 1);
}

#[tokio::test]
async fn commits_are_synchronised_in_full() {
    let (_folder, store) = store().await;
    let level: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(&store.pool).await.unwrap();
    assert_eq!(level, 2);
}

#[tokio::test]
async fn what_must_be_told_is_written_with_what_happened() {
    use crate::model::journal::{Fetched, Output};
    use crate::model::notice::{Delivery, Moment};
    use crate::model::step::Step;
    let (folder, store) = store().await;
    let app: App = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    let revision: Sha = "a".repeat(40).parse().unwrap();
    let out = Output::Fetched(Fetched { revision, subject: "Print".into(), author: "Dana".into(), descends: None });
    let fetched = Entry { at: 2, boot: "b".into(), fact: Fact::Done { step: Step::Fetch, out } };
    store.append(&app, id, 1, &fetched).await.unwrap();
    store.append(&app, id, 2, &ended(Verdict::RolledBack)).await.unwrap();
    // An entry that is refused tells nobody anything.
    assert!(store.append(&app, id, 2, &ended(Verdict::Failed)).await.is_err());
    drop(store);
    let store = Store::open(&folder.path().join("state.db")).await.unwrap();
    let moments = [Moment::Accepted, Moment::Fetched, Moment::Ended(Verdict::RolledBack)];
    let mut due = store.due().await.unwrap();
    assert_eq!(due.iter().map(|due| due.moment).collect::<Vec<_>>(), moments);
    assert!(store.told(id).await.unwrap().is_empty());

    // Nobody wants to hear of the first; of the second somebody has heard, and somebody not yet.
    store.keep_due(&due[0], 3).await.unwrap();
    due[1].deliveries = vec![Delivery::new("chat".parse().unwrap(), 3), Delivery::new("mail".parse().unwrap(), 3)];
    due[1].deliveries[0].sent();
    store.keep_due(&due[1], 3).await.unwrap();
    assert_eq!(store.due().await.unwrap(), due[1..]);
    due[1].deliveries[1].sent();
    store.keep_due(&due[1], 3).await.unwrap();
    assert_eq!(store.due().await.unwrap(), due[2..]);
    assert_eq!(store.told(id).await.unwrap()[0].deliveries, due[1].deliveries);
    // What is over is forgotten after its time; what waits is not.
    store.keep_due(&due[0], 100 * 86_400_000).await.unwrap();
    assert!(store.told(id).await.unwrap().is_empty());
    assert_eq!(store.due().await.unwrap(), due[2..]);
    assert!(store.ended_before(&app, id, 9).await.unwrap().is_empty());
    assert_eq!(store.ended_before(&app, DeploymentId(id.0 + 1), 9).await.unwrap()[0].id, id);
}

fn judged(reply: Reply) -> Entry {
    let answer = Answer { gate: Gate::Lock, reply, reason: String::new(), lift: None, since: None, seen: None };
    let out = Output::Judged(Judgement { answers: vec![answer] });
    Entry { at: 1, boot: "b".into(), fact: Fact::Done { step: Step::Gates, out } }
}

#[tokio::test]
async fn a_deployment_that_waits_is_open_and_the_only_one() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    store.append(&app, id, 1, &judged(Reply::Wait { until: None })).await.unwrap();
    assert_eq!(store.history(None, 1).await.unwrap()[0].state, "waiting");
    assert!(matches!(store.accept(&app, "deploy", "main", order(), 1, "b", None).await, Err(StoreError::Busy)));
    assert_eq!(store.open_deployments().await.unwrap(), [(app.clone(), id)], "a restart takes it up again");
    store.append(&app, id, 2, &judged(Reply::Pass)).await.unwrap();
    assert_eq!(store.history(None, 1).await.unwrap()[0].state, "running");
}

#[tokio::test]
async fn holds_outlive_the_core_and_there_is_one_of_a_kind() {
    let (folder, store) = store().await;
    let (app, other) = ("erp".parse().unwrap(), "shop".parse().unwrap());
    let hold =
        |reason: &str, until| Hold { kind: HoldKind::Freeze, until, reason: reason.into(), by: "o".into(), at: 1 };
    store.hold(&app, &hold("first", None), &record("freeze")).await.unwrap();
    store.hold(&app, &hold("second", Some(5)), &record("freeze")).await.unwrap();
    drop(store);
    let store = Store::open(&folder.path().join("state.db")).await.unwrap();
    assert_eq!(store.standing(&app, None).await.unwrap().holds, [hold("second", Some(5))]);
    assert_eq!(store.standing(&other, None).await.unwrap(), Standing::default());
    assert!(!store.lift(&app, HoldKind::Lock, &record("unlock")).await.unwrap());
    assert!(store.lift(&app, HoldKind::Freeze, &record("unfreeze")).await.unwrap());
    assert_eq!(store.standing(&app, None).await.unwrap(), Standing::default());
}

/// Runs one deployment of an order to its end.
async fn settled(store: &Store, order: Order, revision: char, verdict: Verdict) -> DeploymentId {
    let app = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order, 1, "b", None).await.unwrap();
    let fetched = Fetched {
        revision: revision.to_string().repeat(40).parse().unwrap(),
        subject: String::new(),
        author: String::new(),
        descends: None,
    };
    let fact = Fact::Done { step: Step::Fetch, out: Output::Fetched(fetched) };
    store.append(&app, id, 1, &Entry { at: 1, boot: "b".into(), fact }).await.unwrap();
    store.append(&app, id, 2, &ended(verdict)).await.unwrap();
    id
}

#[tokio::test]
async fn what_failed_is_quarantined_with_its_end_and_a_rollback_pauses() {
    let app = "erp".parse().unwrap();
    for (verdict, quarantined, paused) in [
        (Verdict::Deployed, false, false),
        (Verdict::Failed, true, false),
        (Verdict::RolledBack, true, true),
        (Verdict::NeedsOperator, true, true),
        (Verdict::Aborted, false, false),
        (Verdict::Refused, false, false),
        (Verdict::Superseded, false, false),
    ] {
        let (_folder, store) = store().await;
        let id = settled(&store, order(), 'b', verdict).await;
        let standing = store.standing(&app, None).await.unwrap();
        assert_eq!(
            standing.quarantined.first().map(|failed| failed.deployment),
            quarantined.then_some(id),
            "{verdict:?}"
        );
        assert_eq!(standing.hold(HoldKind::Pause).is_some(), paused, "{verdict:?}");
        // What proves to be good after all is not quarantined any more; the pause is a person's to end.
        settled(&store, order(), 'b', Verdict::Deployed).await;
        let standing = store.standing(&app, None).await.unwrap();
        assert!(standing.quarantined.is_empty() && standing.hold(HoldKind::Pause).is_some() == paused, "{verdict:?}");
    }
}

#[tokio::test]
async fn a_person_who_goes_back_quarantines_what_was_live() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let (live, old) = ("b".repeat(40).parse().unwrap(), "a".repeat(40).parse().unwrap());
    let back = Order { goal: Goal::Release(ReleaseId(1)), from_revision: Some(live), revision: Some(old), ..order() };
    let id = store.accept(&app, "rollback", "release 1", back.clone(), 1, "b", None).await.unwrap();
    store.append(&app, id, 1, &ended(Verdict::Deployed)).await.unwrap();
    let standing = store.standing(&app, None).await.unwrap();
    assert_eq!(standing.quarantined[0].revision.short(), "bbbbbbbb");
    assert_eq!(
        standing.hold(HoldKind::Pause).unwrap().reason,
        format!("olga went back from bbbbbbbb in deployment {id}")
    );
}

fn record(what: &str) -> Record {
    let (app, what) = ("erp".parse().unwrap(), what.to_owned());
    Record { at: 1, app, deployment: None, by: "olga".into(), who: Who::default(), what, detail: String::new() }
}

async fn verbs(store: &Store) -> Vec<String> {
    let entries = store.audit(None, 100).await.unwrap();
    assert_eq!(audit::verify(&entries, &store.heads(0).await.unwrap()), Ok(()));
    entries.iter().map(|entry| serde_json::from_str::<Record>(&entry.record).unwrap().what).collect()
}

#[tokio::test]
async fn everything_that_somebody_does_is_in_the_audit_and_what_changed_nothing_is_not() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let lock = Hold { kind: HoldKind::Lock, until: None, reason: "x".into(), by: "olga".into(), at: 1 };
    store.hold(&app, &lock, &record("lock")).await.unwrap();
    store.lift(&app, HoldKind::Lock, &record("unlock")).await.unwrap();
    assert!(!store.lift(&app, HoldKind::Lock, &record("unlock")).await.unwrap());
    let order = Order { overrides: vec![Override { gate: Gate::Ci, reason: "the forge is down".into() }], ..order() };
    let id = store.accept(&app, "deploy", "main", order, 1, "b", None).await.unwrap();
    store.append(&app, id, 1, &judged(Reply::Wait { until: None })).await.unwrap();
    store.append(&app, id, 2, &judged(Reply::Overridden)).await.unwrap();
    store.append(&app, id, 3, &ended(Verdict::Deployed)).await.unwrap();
    assert_eq!(verbs(&store).await, ["lock", "unlock", "deploy", "gates", "deployed"]);
    let entries = store.audit(Some(&app), 3).await.unwrap();
    assert!(entries[0].record.contains("override ci: the forge is down"), "{}", entries[0].record);
    assert!(entries[1].record.contains("overridden: lock"), "{}", entries[1].record);
}

#[tokio::test]
async fn an_entry_cannot_be_changed_by_a_slip_and_one_that_was_shows() {
    for sql in ["update audit set record = 'x' where seq = 2", "delete from audit where seq = 2"] {
        let (_folder, store) = store().await;
        for what in ["a", "b", "c"] {
            store.note(&record(what)).await.unwrap();
        }
        let anchors = store.heads(0).await.unwrap();
        assert!(sqlx::query(sql).execute(&store.pool).await.is_err(), "{sql}");
        // Who has the file can take that away as well.
        sqlx::raw_sql("drop trigger audit_is_not_changed; drop trigger audit_is_not_removed")
            .execute(&store.pool)
            .await
            .unwrap();
        sqlx::query(sql).execute(&store.pool).await.unwrap();
        let broken = audit::verify(&store.audit(None, 100).await.unwrap(), &anchors).unwrap_err();
        assert!(broken.0.contains("entry 2"), "{broken}");
    }
}

#[tokio::test]
async fn the_last_word_about_a_deployment_counts() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    let said = |approved| Decision { content: "c".into(), approved, by: "olga".into(), reason: String::new(), at: 1 };
    store.decide(id, &said(false), &record("reject")).await.unwrap();
    store.decide(id, &said(true), &record("approve")).await.unwrap();
    assert_eq!(store.standing(&app, Some(id)).await.unwrap().decision, Some(said(true)));
    assert_eq!(store.standing(&app, None).await.unwrap().decision, None);
    assert_eq!(verbs(&store).await, ["deploy", "reject", "approve"]);
}

#[tokio::test]
async fn what_is_forgiven_is_new_again_until_it_fails_again() {
    let (_folder, store) = store().await;
    let (app, revision) = ("erp".parse().unwrap(), "b".repeat(40).parse().unwrap());
    for _ in 0..2 {
        let id = settled(&store, order(), 'b', Verdict::RolledBack).await;
        assert_eq!(store.tried(&app, &revision).await.unwrap(), Some((id, "rolled-back".to_owned())));
        assert!(store.forgive(&app, &revision, &record("forgive")).await.unwrap());
        assert_eq!(store.tried(&app, &revision).await.unwrap(), None);
        assert!(store.standing(&app, None).await.unwrap().quarantined.is_empty());
        assert!(!store.forgive(&app, &revision, &record("forgive")).await.unwrap(), "only once");
    }
}
