use core::time::Duration;

use super::outside::Signed;
use super::testing::{Case, hold, sha};
use super::*;
use crate::model::journal::Pending;

const DAY: i64 = 86_400_000;

fn held(kind: HoldKind, until: Option<i64>) -> Case {
    Case { standing: Standing { holds: vec![hold(kind, until)], ..Standing::default() }, ..Case::default() }
}

#[test]
fn every_gate_passes_where_nothing_is_in_the_way() {
    let judgement = Case::default().judge(0, None);
    assert_eq!(judgement.ruling(), Ruling::Pass, "{}", judgement.words());
    assert_eq!(judgement.answers.iter().map(|answer| answer.gate).collect::<Vec<_>>(), Gate::ALL);
}

#[test]
fn a_gate_about_triggers_binds_triggers_only_and_the_others_bind_everybody() {
    let wait = Reply::Wait { until: Some(7 * DAY) };
    let failed = || Case::default().failed(sha('b'));
    let rewritten = || Case { descends: Some(false), ..Case::default() };
    let unknown = || Case { descends: None, ..Case::default() };
    type Make<'a> = &'a dyn Fn() -> Case;
    let cases: [(Make<'_>, Gate, Reply, Reply); 7] = [
        (&|| held(HoldKind::Lock, None), Gate::Lock, wait, wait),
        (
            &|| held(HoldKind::Freeze, Some(DAY)),
            Gate::Freeze,
            Reply::Wait { until: Some(DAY) },
            Reply::Wait { until: Some(DAY) },
        ),
        (&|| held(HoldKind::Freeze, Some(0)), Gate::Freeze, Reply::Pass, Reply::Pass),
        (&|| held(HoldKind::Pause, None), Gate::Pause, wait, Reply::Pass),
        (&failed, Gate::Quarantine, Reply::Refuse, Reply::Pass),
        (&rewritten, Gate::Ancestry, Reply::Refuse, Reply::Pass),
        (&unknown, Gate::Ancestry, Reply::Refuse, Reply::Pass),
    ];
    for (make, gate, automatic, manual) in cases {
        assert_eq!(make().ask(gate), automatic, "{gate:?}, automatic");
        assert_eq!(Case { automatic: false, ..make() }.ask(gate), manual, "{gate:?}, manual");
    }
    assert_eq!(Case::default().failed(sha('c')).ask(Gate::Quarantine), Reply::Pass, "another revision");
    assert_eq!(Case { running: None, descends: None, ..Case::default() }.ask(Gate::Ancestry), Reply::Pass);
}

#[test]
fn a_freeze_ends_at_its_moment_also_where_the_clock_on_the_wall_shows_it_twice() {
    let at = |text: &str| format!("2026-10-25T{text}[Europe/Berlin]").parse::<jiff::Zoned>().unwrap();
    let end = at("02:30+01:00").timestamp().as_millisecond();
    let mut case = held(HoldKind::Freeze, Some(end));
    case.rules.windows = Some(Windows {
        zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        open: vec!["Mon..Sun 00:00-24:00".parse().unwrap()],
        wait: Duration::from_hours(1),
    });
    let judge = |text: &str| case.judge(at(text).timestamp().as_millisecond(), None);
    for before in ["02:30+02:00", "02:59+02:00", "02:29:59+01:00"] {
        assert_eq!(judge(before).ruling(), Ruling::Wait(Some(end)), "{before}");
    }
    let words = judge("02:30+02:00").words();
    assert_eq!(words, "freeze: frozen by olga until Sun 2026-10-25 02:30 CET: stocktaking");
    assert_eq!(judge("02:30+01:00").ruling(), Ruling::Pass);
}

#[test]
fn patience_ends_and_counts_only_what_was_waited_without_interruption() {
    let case = held(HoldKind::Lock, None);
    let first = case.judge(DAY, None);
    assert_eq!(first.ruling(), Ruling::Wait(Some(8 * DAY)));
    let later = case.judge(8 * DAY - 1, Some(&first));
    assert_eq!(later.ruling(), Ruling::Wait(Some(8 * DAY)), "it counts from the first time");
    let end = case.judge(8 * DAY, Some(&later));
    assert_eq!(end.ruling(), Ruling::Refuse);
    assert!(end.words().starts_with("lock: waited 168h in vain: locked by olga"), "{}", end.words());
    let lifted = Case::default().judge(7 * DAY, Some(&later));
    assert_eq!(case.judge(8 * DAY, Some(&lifted)).ruling(), Ruling::Wait(Some(15 * DAY)), "it was lifted between");
}

#[test]
fn the_first_that_may_change_its_mind_has_all_asked_again_and_one_refusal_is_enough() {
    let mut case = held(HoldKind::Freeze, Some(DAY));
    case.standing.holds.push(hold(HoldKind::Lock, None));
    assert_eq!(case.judge(0, None).ruling(), Ruling::Wait(Some(DAY)));
    let case = case.failed(sha('b'));
    assert_eq!(case.judge(0, None).ruling(), Ruling::Refuse);
}

#[test]
fn an_override_lifts_its_gate_and_no_other_and_says_so() {
    let mut case = held(HoldKind::Lock, None).failed(sha('b'));
    case.overrides = vec![Override { gate: Gate::Lock, reason: "the shop is down".into() }];
    let judgement = case.judge(0, None);
    assert_eq!(judgement.of(Gate::Lock).unwrap().reply, Reply::Overridden);
    assert!(judgement.of(Gate::Lock).unwrap().reason.ends_with("(overridden: the shop is down)"));
    assert_eq!(judgement.ruling(), Ruling::Refuse, "quarantine still says no");
    case.overrides.push(Override { gate: Gate::Quarantine, reason: "it was the network".into() });
    assert_eq!(case.judge(0, None).ruling(), Ruling::Pass);
    case.standing = Standing::default();
    assert_eq!(case.judge(0, None).of(Gate::Lock).unwrap().reply, Reply::Pass, "nothing was overridden");
}

#[test]
fn what_is_against_says_why_and_who_can_lift_it() {
    let judgements = [
        held(HoldKind::Lock, None),
        held(HoldKind::Freeze, Some(DAY)),
        held(HoldKind::Pause, None),
        Case::default().failed(sha('b')),
        Case { descends: Some(false), ..Case::default() },
    ];
    for case in judgements {
        let judgement = case.judge(0, None);
        let against: Vec<_> = judgement.against().collect();
        assert_eq!(against.len(), 1);
        assert!(against[0].lift.is_some() && !against[0].reason.is_empty(), "{against:?}");
    }
}

#[test]
fn the_stored_name_is_the_word_that_is_typed() {
    for gate in Gate::ALL {
        assert_eq!(serde_json::to_value(gate).unwrap(), gate.word());
        assert_eq!(gate.word().parse(), Ok(gate));
    }
    assert!("gate".parse::<Gate>().is_err());
}

fn to_approve(pending: &[&str]) -> Case {
    let pending = pending.iter().map(|revision| Pending {
        revision: revision.parse().unwrap(),
        title: String::new(),
        nontransactional: false,
    });
    let approval = Approval { required: vec!["webhook".into()], by_another: false, wait: Duration::from_secs(60) };
    Case {
        rules: Rules { approval: Some(approval), ..Rules::default() },
        pending: Some(pending.collect()),
        ..Case::default()
    }
}

fn said(case: &Case, approved: bool, by: &str) -> Option<Decision> {
    let content = approval::content(&sha('b'), case.pending.as_deref().unwrap(), "c");
    Some(Decision { content, approved, by: by.into(), reason: "as it is".into(), at: 0 })
}

#[test]
fn an_approval_holds_for_exactly_what_was_seen() {
    let wait = Reply::Wait { until: Some(60_000) };
    let mut case = to_approve(&["0002"]);
    assert_eq!(case.ask(Gate::Approval), wait, "nobody has said anything");
    case.standing.decision = said(&case, true, "piet");
    assert_eq!(case.ask(Gate::Approval), Reply::Pass);
    let decision = case.standing.decision.clone();
    let with = |case: Case| Case { standing: Standing { decision: decision.clone(), ..Standing::default() }, ..case };
    assert_eq!(with(to_approve(&["0002", "0003"])).ask(Gate::Approval), wait, "a new migration voids it");
    assert_eq!(with(to_approve(&[])).ask(Gate::Approval), wait, "so does one less");
    assert_eq!(
        with(Case { revision: Some(sha('d')), ..to_approve(&["0002"]) }).ask(Gate::Approval),
        wait,
        "and a push"
    );
    let changed = with(Case { configuration: "d", ..to_approve(&["0002"]) });
    assert_eq!(changed.ask(Gate::Approval), Reply::Refuse, "what runs with old settings is not what was seen");
    case.standing.decision = said(&case, false, "piet");
    assert_eq!(case.ask(Gate::Approval), Reply::Refuse);
    case.standing.decision = None;
    case.pending = None;
    assert_eq!(case.ask(Gate::Approval), Reply::Open, "before the inspection");
    assert_eq!(Case { automatic: false, ..to_approve(&["0002"]) }.ask(Gate::Approval), Reply::Pass, "not required");
}

#[test]
fn who_asked_may_be_kept_from_approving() {
    let mut case = to_approve(&["0002"]);
    case.rules.approval.as_mut().unwrap().by_another = true;
    case.standing.decision = said(&case, true, "olga");
    assert!(matches!(case.ask(Gate::Approval), Reply::Wait { .. }));
    case.standing.decision = said(&case, true, "piet");
    assert_eq!(case.ask(Gate::Approval), Reply::Pass);
}

#[test]
fn a_signature_that_does_not_hold_refuses_and_one_that_nobody_looked_at_never_agrees() {
    let rule = Signature { allowed_signers: "/x".into(), revoked: None };
    let mut case = Case { rules: Rules { signature: Some(rule), ..Rules::default() }, ..Case::default() };
    assert_eq!(case.ask(Gate::Signature), Reply::Refuse);
    case.outside.signature = Some(Signed::Bad { why: "commit bbbbbbbb: it is not signed".into() });
    assert_eq!(case.ask(Gate::Signature), Reply::Refuse);
    case.outside.signature = Some(Signed::Good { commits: 2, by: "olga".into() });
    assert_eq!(case.ask(Gate::Signature), Reply::Pass);
}
