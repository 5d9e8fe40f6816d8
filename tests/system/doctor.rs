//! `redeliver doctor` finds what is wrong with a server, a user and a queue, and says what to do.

use redeliver::{Damage, Message, MessageId, Policy, Raw, Role};
use serde_json::Value;
use tokio::process::Command;

use crate::fixture::{Fixture, SECOND, TestServer};

/// A server on which nothing is wrong; the version stays what it is.
const SOUND: [&str; 6] =
    ["--appendonly", "yes", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction"];

/// The exit code, and the findings.
async fn doctor(url: &str, args: &[&str]) -> (i32, Vec<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
    command.args(["doctor", "-o", "json", "--url", url]).args(args);
    let output = command.output().await.unwrap();
    let told = serde_json::from_slice(&output.stdout);
    let found = told.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), found)
}

fn is_bad(finding: &Value) -> bool {
    finding["severity"] == "warn" || finding["severity"] == "fail"
}

/// That this is told, with a way to mend it, and that the exit code agrees with what is told.
async fn tells(url: &str, args: &[&str], (about, severity, says): (&str, &str, &str)) {
    let (code, found) = doctor(url, args).await;
    let told = found.iter().find(|finding| {
        let text = finding["says"].as_str().unwrap();
        finding["about"] == about && finding["severity"] == severity && text.contains(says)
    });
    assert!(told.is_some(), "{about} {severity} {says}: {found:#?}");
    assert!(
        found.iter().all(|finding| finding["fix"].is_string() || !is_bad(finding)),
        "{found:?}"
    );
    let failed = found.iter().any(|finding| finding["severity"] == "fail");
    assert_eq!(code, i32::from(failed), "{found:#?}");
}

fn scratch_keys(all: &Fixture) -> Vec<String> {
    all.redis(&["KEYS", "*doctor*"])
}

#[tokio::test]
async fn nothing_fails_on_a_sound_server_and_nothing_is_left_there() {
    let server = TestServer::start(&SOUND);
    let all = Fixture::on(&server, Policy::default()).await;
    all.push("x").await;
    for role in Role::ALL {
        let (code, found) = doctor(&server.url(), &["--role", role.as_str()]).await;
        assert_eq!(code, 0, "{found:#?}");
        let bad: Vec<_> = found.iter().filter(|finding| is_bad(finding)).collect();
        // A machine that stands still within a script makes that one slow.
        let excused =
            |finding: &&Value| ["version", "slow log"].map(Value::from).contains(&finding["about"]);
        assert!(bad.iter().all(excused), "{bad:#?}");
        let about = |about: &str| found.iter().any(|finding| finding["about"] == about);
        for topic in ["memory", "clients", "eviction", "persistence", "clock", "rights", "queue"] {
            assert!(about(topic), "{topic}: {found:#?}");
        }
    }
    assert_eq!(scratch_keys(&all), Vec::<String>::new());
}

#[tokio::test]
async fn each_setting_that_endangers_messages_is_told() {
    let server = TestServer::start(&SOUND);
    let all = Fixture::on(&server, Policy::default()).await;
    let url = server.url();
    let set = |name: &str, value: &str| all.redis::<()>(&["CONFIG", "SET", name, value]);
    tells(&url, &[], ("persistence", "ok", "loses about the last second")).await;
    let cases = [
        ("maxmemory-policy", "allkeys-lru", "noeviction", ("eviction", "fail", "evict a whole")),
        ("maxmemory-policy", "volatile-ttl", "noeviction", ("eviction", "warn", "spares queues")),
        ("appendfsync", "always", "everysec", ("persistence", "ok", "nothing that was confirmed")),
        ("appendfsync", "no", "everysec", ("persistence", "warn", "without fsync")),
        ("maxmemory", "0", "256mb", ("memory", "warn", "without a limit")),
        ("maxmemory", "900kb", "256mb", ("memory", "fail", "pushes will be refused")),
    ];
    for (name, value, sound, told) in cases {
        set(name, value);
        tells(&url, &[], told).await;
        set(name, sound);
    }
    set("appendonly", "no");
    tells(&url, &[], ("persistence", "fail", "loses every message")).await;
    set("save", "3600 1");
    tells(&url, &[], ("persistence", "warn", "snapshots only")).await;
    let busy = "local n = 0 for i = 1, 3e7 do n = n + i end return n";
    let sha: String = all.redis(&["SCRIPT", "LOAD", busy]);
    all.redis::<()>(&["EVALSHA", &sha, "0"]);
    tells(&url, &[], ("slow log", "warn", "50 ms or more")).await;
}

#[tokio::test]
async fn each_right_that_is_missing_is_named_and_nothing_else() {
    let server = TestServer::start(&SOUND);
    let all = Fixture::on(&server, Policy::default()).await;
    let mut runs = tokio::task::JoinSet::new();
    for role in Role::ALL {
        for right in role.commands() {
            let user = format!("{role}-without-{}", right.replace('|', "-"));
            let mut command = vec!["ACL", "SETUSER", &user, "on", ">secret"];
            let rules = role.rules("rd").unwrap();
            command.extend(rules.split(' ').filter(|rule| *rule != format!("+{right}")));
            all.redis::<()>(&command);
            let url = format!("{}?user={user}&pass=secret", server.url());
            runs.spawn(
                async move { (role, right, doctor(&url, &["--role", role.as_str()]).await) },
            );
            if runs.len() == 4 {
                named(runs.join_next().await.unwrap().unwrap());
            }
        }
    }
    while let Some(ended) = runs.join_next().await {
        named(ended.unwrap());
    }
    // Only who may write and not remove leaves something, and is told so.
    let left = scratch_keys(&all);
    assert!(left.len() <= 1, "{left:?}");
}

#[tokio::test]
async fn a_user_with_just_the_rights_of_its_role_lacks_nothing() {
    let server = TestServer::start(&SOUND);
    let all = Fixture::on(&server, Policy::default()).await;
    all.push("x").await;
    let name = all.queue.name().to_string();
    for role in Role::ALL {
        let user = role.to_string();
        let mut command = vec!["ACL", "SETUSER", &user, "on", ">secret"];
        let rules = role.rules("rd").unwrap();
        command.extend(rules.split(' '));
        all.redis::<()>(&command);
        let url = format!("{}?user={user}&pass=secret", server.url());
        // A producer may not look at a queue.
        let queue = if role == Role::Producer { None } else { Some(name.as_str()) };
        let args: Vec<_> = queue.into_iter().chain(["--role", role.as_str()]).collect();
        let (code, found) = doctor(&url, &args).await;
        assert_eq!(code, 0, "{role}: {found:#?}");
        let told = found.iter().filter(|finding| finding["about"] == "queue").count();
        assert_eq!(told, usize::from(queue.is_some()), "{role}: {found:#?}");
    }
}

fn named((role, right, (code, found)): (Role, &str, (i32, Vec<Value>))) {
    let rights = found.iter().filter(|finding| finding["about"] == "rights" && is_bad(finding));
    let rights: Vec<_> = rights.collect();
    assert_eq!((code, rights.len()), (1, 1), "{role} without {right}: {found:#?}");
    let article = if role == Role::Operator { "an" } else { "a" };
    assert_eq!(rights[0]["says"], format!("{article} {role} has no right to {right}"));
    assert_eq!(rights[0]["fix"], format!("ACL SETUSER <user> +{right}"));
}

#[tokio::test]
async fn a_user_of_other_keys_is_told_which_it_lacks_and_hidden_things_are_no_failure() {
    let server = TestServer::start(&SOUND);
    let all = Fixture::on(&server, Policy::default()).await;
    let rules = Role::Operator.rules("other").unwrap();
    let mut command = vec!["ACL", "SETUSER", "granted", "on", ">secret"];
    command.extend(rules.split(' '));
    all.redis::<()>(&command);
    let url = format!("{}?user=granted&pass=secret", server.url());
    tells(&url, &[], ("rights", "fail", "no right to the keys rd:*")).await;
    let prefix = ["--prefix", "other"];
    tells(&url, &prefix, ("rights", "ok", "all that an operator needs")).await;
    for topic in ["eviction", "slow log"] {
        tells(&url, &prefix, (topic, "note", "not allowed to look")).await;
    }
    assert_eq!(doctor(&url, &prefix).await.0, 0);
    all.redis::<()>(&["ACL", "SETUSER", "granted", "-info"]);
    tells(&url, &prefix, ("server", "note", "not allowed to look: INFO")).await;
}

#[tokio::test]
async fn each_trouble_of_a_queue_is_told() {
    let server = TestServer::start(&SOUND);
    let all = Fixture::on(&server, Policy::default()).await;
    let name = all.queue.name().to_string();
    let url = server.url();
    let args = [name.as_str()];
    tells(&url, &args, ("queue", "note", "nothing was ever pushed")).await;
    let later = Message::new(Raw::from("later")).delay(3600 * SECOND);
    let id = all.queue.push(later).await.unwrap().id();
    tells(&url, &args, ("queue", "ok", "nothing is late")).await;
    all.age("scheduled", id, 7200 * SECOND);
    tells(&url, &args, ("queue", "fail", "no poller brings them")).await;
    all.queue.redeliver(10).await.unwrap();
    all.queue.pause().await.unwrap();
    tells(&url, &args, ("queue", "warn", "paused")).await;
    all.queue.resume().await.unwrap();
    all.redis::<()>(&["LPUSH", &all.key("ready"), &MessageId::generate().to_string()]);
    tells(&url, &args, ("queue", "fail", "the law is broken")).await;
    let repaired = all.queue.repair(|_| {}).await.unwrap();
    assert_eq!(repaired.mended[&Damage::Ghost], 1);
    tells(&url, &args, ("queue", "warn", "went from outside")).await;
    all.redis::<()>(&["HSET", &all.key("meta"), "layout", "3"]);
    tells(&url, &[], ("queue", "fail", "layout")).await;
    all.redis::<()>(&["DEL", &all.key("meta")]);
    all.redis::<()>(&["SET", &all.key("meta"), "damage"]);
    tells(&url, &[], ("queue", "fail", "WRONGTYPE")).await;
}
