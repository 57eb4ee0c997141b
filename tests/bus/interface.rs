//! The interface itself, as other clients see it.

use std::collections::HashMap;
use std::time::Duration;

use tsh_agent::api::client::{Client, Error, News};
use tsh_agent::api::{self, INTERFACE, Kind, NAME, PATH};
use tsh_agent::model::names::DeploymentId;
use zbus::connection::Builder;
use zbus::{Variant, fdo};

use crate::support::{Bus, Script, view};

const ID: DeploymentId = DeploymentId(42);

#[tokio::test]
async fn the_interface_is_a_promise() {
    let bus = Bus::start();
    let connection = bus.serve(&Script::of([])).await;
    let proxy = fdo::IntrospectableProxy::builder(&connection).destination(NAME).path(PATH);
    let xml = proxy.build().await.unwrap().introspect().await.unwrap();
    let from = xml.find("<interface name=\"sale.tsh.Agent1\">").unwrap();
    let length = xml[from..].find("</interface>").unwrap();
    insta::assert_snapshot!(&xml[from..from + length], @r#"
    <interface name="sale.tsh.Agent1">
        <method name="Deploy">
          <arg name="app" type="s" direction="in"/>
          <arg name="wanted" type="s" direction="in"/>
          <arg name="options" type="a{sv}" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="Rollback">
          <arg name="app" type="s" direction="in"/>
          <arg name="to" type="u" direction="in"/>
          <arg name="options" type="a{sv}" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="RollbackPlan">
          <arg name="app" type="s" direction="in"/>
          <arg name="to" type="u" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Abort">
          <arg name="id" type="u" direction="in"/>
        </method>
        <method name="Adopt">
          <arg name="app" type="s" direction="in"/>
          <arg name="revision" type="s" direction="in"/>
          <arg name="subject" type="s" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="Hold">
          <arg name="app" type="s" direction="in"/>
          <arg name="kind" type="s" direction="in"/>
          <arg name="until" type="x" direction="in"/>
          <arg name="reason" type="s" direction="in"/>
        </method>
        <method name="Lift">
          <arg name="app" type="s" direction="in"/>
          <arg name="kind" type="s" direction="in"/>
        </method>
        <method name="Forgive">
          <arg name="app" type="s" direction="in"/>
          <arg name="revision" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Decide">
          <arg name="id" type="u" direction="in"/>
          <arg name="approved" type="b" direction="in"/>
          <arg name="reason" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Audit">
          <arg name="app" type="s" direction="in"/>
          <arg name="limit" type="u" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Gates">
          <arg name="app" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Plan">
          <arg name="app" type="s" direction="in"/>
          <arg name="wanted" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Diff">
          <arg name="app" type="s" direction="in"/>
          <arg name="from" type="s" direction="in"/>
          <arg name="to" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Pin">
          <arg name="app" type="s" direction="in"/>
          <arg name="release" type="u" direction="in"/>
          <arg name="reason" type="s" direction="in"/>
        </method>
        <method name="Unpin">
          <arg name="app" type="s" direction="in"/>
          <arg name="release" type="u" direction="in"/>
        </method>
        <method name="Show">
          <arg name="id" type="u" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="History">
          <arg name="app" type="s" direction="in"/>
          <arg name="limit" type="u" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Status">
          <arg name="app" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Metrics">
          <arg type="s" direction="out"/>
        </method>
        <method name="Check">
          <arg name="app" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Apps">
          <arg type="as" direction="out"/>
        </method>
        <method name="Output">
          <arg name="id" type="u" direction="in"/>
          <arg name="step" type="s" direction="in"/>
          <arg name="offset" type="t" direction="in"/>
          <arg type="ay" direction="out"/>
          <arg type="t" direction="out"/>
        </method>
        <method name="BackUp">
          <arg name="app" type="s" direction="in"/>
          <arg name="options" type="a{sv}" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="VerifyBackup">
          <arg name="app" type="s" direction="in"/>
          <arg name="name" type="s" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="PushBackups">
          <arg name="app" type="s" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="PruneBackups">
          <arg name="app" type="s" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="Quarantines">
          <arg name="app" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="RestorePlan">
          <arg name="app" type="s" direction="in"/>
          <arg name="name" type="s" direction="in"/>
          <arg name="release" type="u" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="RestoreBackup">
          <arg name="app" type="s" direction="in"/>
          <arg name="name" type="s" direction="in"/>
          <arg name="database" type="s" direction="in"/>
          <arg name="release" type="u" direction="in"/>
          <arg type="u" direction="out"/>
        </method>
        <method name="DoomedBackups">
          <arg name="app" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Backups">
          <arg name="app" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Backup">
          <arg name="app" type="s" direction="in"/>
          <arg name="name" type="s" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="BackupRun">
          <arg name="id" type="u" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="AddKey">
          <arg name="name" type="s" direction="in"/>
          <arg name="app" type="s" direction="in"/>
          <arg name="allow" type="as" direction="in"/>
          <arg type="s" direction="out"/>
        </method>
        <method name="Keys">
          <arg type="s" direction="out"/>
        </method>
        <method name="RemoveKey">
          <arg name="name" type="s" direction="in"/>
        </method>
        <signal name="Changed">
          <arg name="app" type="s"/>
          <arg name="id" type="u"/>
          <arg name="state" type="s"/>
        </signal>
        <property name="Version" type="s" access="read">
          <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
        </property>
    "#);
}

#[tokio::test]
async fn there_is_never_a_second_core() {
    let bus = Bus::start();
    let first = bus.serve(&Script::of([])).await;
    let second = api::serve(Builder::address(bus.address.as_str()), Script::of([])).await;
    assert!(matches!(second, Err(zbus::Error::NameTaken)), "{second:?}");
    let owner = fdo::DBusProxy::new(&first).await.unwrap().get_name_owner(NAME.try_into().unwrap()).await.unwrap();
    assert_eq!(Some(owner.as_str()), first.unique_name().map(|name| name.as_str()));
}

#[tokio::test]
async fn what_it_does_not_know_is_refused() {
    let bus = Bus::start();
    let core = Script::of([]);
    let connection = bus.serve(&core).await;
    let call = async |options: HashMap<&str, Variant<'_>>| {
        let reply =
            connection.call_method(Some(NAME), PATH, Some(INTERFACE), "Deploy", &("tsh-erp", "", options)).await;
        Error::from(reply.unwrap_err())
    };
    for options in [("bypass", Variant::Bool(true)), ("force", Variant::U32(1))] {
        let error = call(HashMap::from([options])).await;
        assert!(matches!(&error, Error::Refused(refusal) if refusal.kind == Kind::Usage), "{error:?}");
    }
    for (app, wanted) in [("../etc", ""), ("tsh-erp", "--upload-pack=x")] {
        let body = (app, wanted, HashMap::<&str, Variant<'_>>::new());
        let reply = connection.call_method(Some(NAME), PATH, Some(INTERFACE), "Deploy", &body).await;
        let error = Error::from(reply.unwrap_err());
        assert!(matches!(&error, Error::Refused(refusal) if refusal.kind == Kind::Usage), "{error:?}");
    }
    assert!(core.asked().is_empty());
}

#[tokio::test]
async fn news_are_about_one_deployment() {
    let bus = Bus::start();
    let connection = bus.serve(&Script::of([view(None, &[])])).await;
    let client = Client::connect(Some(bus.address.clone())).await.unwrap();
    let mut watch = client.subscribe().await.unwrap();
    let app = "tsh-erp".parse().unwrap();
    api::changed(&connection, &app, DeploymentId(41), "running").await.unwrap();
    let other = tokio::time::timeout(Duration::from_millis(200), watch.next(ID)).await;
    assert!(other.is_err(), "{other:?}");
    api::changed(&connection, &app, ID, "running").await.unwrap();
    assert_eq!(watch.next(ID).await, News::Changed);
    connection.close().await.unwrap();
    assert_eq!(watch.next(ID).await, News::Lost);
    assert!(matches!(client.show(ID).await, Err(Error::NotRunning)));
}

#[tokio::test]
async fn a_lost_agent_is_waited_for_and_given_up() {
    let bus = Bus::start();
    let mut client = Client::connect(Some(bus.address.clone())).await.unwrap();
    assert!(matches!(client.come_back(Duration::from_millis(400)).await, Err(Error::Lost)));

    let (core, back) = (Script::of([view(None, &[])]), Duration::from_secs(5));
    let serve = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bus.serve(&core).await
    };
    let (watch, _connection) = tokio::join!(client.come_back(back), serve);
    assert!(watch.is_ok());
    assert_eq!(client.show(ID).await.unwrap().id, ID);

    // The bus itself may go, too.
    drop(bus);
    assert!(matches!(client.show(ID).await, Err(Error::Lost)));
    assert!(matches!(client.come_back(Duration::from_millis(300)).await, Err(Error::Lost)));
}
