//! The verbs about gates: what they ask for, and what they exit with.

use std::sync::Arc;

use crate::support::{Bus, Script, view};

#[tokio::test]
async fn the_verbs_of_the_gates_ask_for_what_they_say() {
    let bus = Bus::start();
    let core = Script::of([view(Some("deployed"), &[])]);
    let _connection = bus.serve(&core).await;
    let verbs: [(&[&str], &str); 9] = [
        (&["lock", "-m", "stocktaking"], "tsh-erp is locked; `tsh-agent unlock` takes it back\n"),
        (&["unlock"], "tsh-erp is not locked any more\n"),
        (&["freeze", "--until", "2126-12-27T08:00:00Z", "--reason", "year end"], "tsh-erp is frozen until 2126-12-27 "),
        (&["unfreeze"], "tsh-erp is not frozen any more\n"),
        (&["resume"], "automatic deployments of tsh-erp go on\n"),
        (&["forgive", "3f3f3f3f"], "triggers may deploy 3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f again; "),
        (&["approve", "42"], "deployment 42 is approved as c0ffee00c0ffee00; "),
        (&["reject", "42", "--reason", "not on a Friday"], "deployment 42 is rejected\n"),
        (
            &["deploy", "--detach", "--override", "lock", "--override", "freeze", "--reason", "the shop is down"],
            "accepted",
        ),
    ];
    for (args, out) in verbs {
        let said = bus.run(args).await;
        assert!(said.code == 0 && said.out.starts_with(out), "{said:?}");
    }
    let mut asked = core.asked();
    asked[8..].sort();
    assert_eq!(
        asked,
        [
            "me: lock tsh-erp None stocktaking",
            "me: lift lock tsh-erp",
            "me: freeze tsh-erp Some(4954032000000) year end",
            "me: lift freeze tsh-erp",
            "me: lift pause tsh-erp",
            "me: forgive tsh-erp 3f3f3f3f",
            "me: decide 42 true ",
            "me: decide 42 false not on a Friday",
            "me: deploy tsh-erp - false",
            "override freeze the shop is down",
            "override lock the shop is down",
        ]
    );
}

#[tokio::test]
async fn what_is_not_meant_is_refused_before_anything_is_asked() {
    let bus = Bus::start();
    let core = Script::of([]);
    let _connection = bus.serve(&core).await;
    for (args, why) in [
        (&["deploy", "--override", "lock"][..], "--reason"),
        (&["deploy", "--reason", "because"], "--override"),
        (&["deploy", "--override", "lok", "--reason", "because"], "there are lock, freeze"),
        (
            &["deploy", "--override", "lock", "--reason", "a", "--reason", "b"],
            "1 gates are to be passed, for 2 reasons",
        ),
        (&["deploy", "--override", "lock", "--reason", " "], "needs a reason"),
        (&["freeze", "--until", "tomorrow", "--reason", "x"], "is no moment"),
        (&["lock"], "--message"),
    ] {
        let said = bus.run(args).await;
        assert!(said.code == 2 && said.err.contains(why), "{args:?}: {said:?}");
    }
    assert!(core.asked().is_empty(), "{:?}", core.asked());
}

#[tokio::test]
async fn where_exits_with_the_answer() {
    for (waits, code, head) in
        [("", 0, "tsh-erp can be deployed now\n"), ("yes", 6, "tsh-erp cannot be deployed now\n")]
    {
        let bus = Bus::start();
        let mut core = Script::of([]);
        Arc::get_mut(&mut core).unwrap().output = waits;
        let _connection = bus.serve(&core).await;
        let said = bus.run(&["where"]).await;
        assert!(said.code == code && said.out.starts_with(head), "{said:?}");
        let said = bus.run(&["where", "--json"]).await;
        assert_eq!(said.code, code);
        assert!(serde_json::from_str::<serde_json::Value>(&said.out).is_ok(), "{said:?}");
    }
}

#[tokio::test]
async fn what_a_deployment_waits_for_is_said_once() {
    let waiting = |detail: &str| {
        let mut waiting = view(None, &[("fetch", "done"), ("gates", "waiting")]);
        waiting["state"] = "waiting".into();
        waiting["steps"][1]["detail"] = detail.into();
        waiting["steps"][1]["took"] = serde_json::Value::Null;
        waiting
    };
    let bus = Bus::start();
    let lock = waiting("lock: locked by olga");
    let end = view(Some("deployed"), &[("fetch", "done"), ("gates", "done")]);
    let core = Script::of([lock.clone(), lock, waiting("freeze: frozen by olga"), end]);
    let connection = bus.serve(&core).await;
    let watching = tokio::spawn(bus.command(&["watch", "42"]).output());
    // Each piece of news makes it look again.
    for _ in 0..3 {
        crate::support::until(|| core.views.lock().unwrap().len() < 4).await;
        let before = core.views.lock().unwrap().len();
        tsh_agent::api::changed(
            &connection,
            &"tsh-erp".parse().unwrap(),
            tsh_agent::model::names::DeploymentId(42),
            "x",
        )
        .await
        .unwrap();
        crate::support::until(|| core.views.lock().unwrap().len() < before || before == 1).await;
    }
    let said = crate::support::Said::of(watching.await.unwrap().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out.matches("waits for lock: locked by olga").count(), 1, "{}", said.out);
    assert_eq!(said.out.matches("waits for freeze: frozen by olga").count(), 1, "{}", said.out);
}
