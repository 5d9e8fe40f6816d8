//! What the engine tells of itself.

use redis::{RedisResult, Value, cmd};

use crate::site::Site;

#[test]
fn info_tells_whose_process_it_is_and_which_commands_were_called() {
    let site = Site::new();
    let mut client = site.connect();
    cmd("CONFIG").arg("RESETSTAT").exec(&mut client).unwrap();
    cmd("PING").exec(&mut client).unwrap();
    let told: String = cmd("INFO").query(&mut client).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        format!("redeliver_version:{version}"),
        format!("process_id:{}", std::process::id()),
        "cmdstat_ping:calls=1,usec=0".to_owned(),
    ] {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
    assert!(!told.contains("calls=0"), "{told}");
    let told: String = cmd("INFO").arg("replication").query(&mut client).unwrap();
    assert!(told.contains("role:master") && !told.contains("process_id"), "{told}");
}

#[test]
fn command_tells_how_many_there_are_and_describes_none() {
    let site = Site::new();
    let mut client = site.connect();
    let mut ask = |words: &[&str]| cmd("COMMAND").arg(words).query::<Value>(&mut client).unwrap();
    assert!(matches!(ask(&["count"]), Value::Int(50..)), "{:?}", ask(&["count"]));
    for words in [&[][..], &["docs"]] {
        assert_eq!(ask(words), Value::Array(Vec::new()));
    }
}

#[test]
fn a_setting_is_told_as_it_was_set_and_one_without_a_name_is_an_error() {
    let site = Site::new();
    let mut client = site.connect();
    let mut config = |words: &[&str]| -> RedisResult<Vec<String>> {
        cmd("CONFIG").arg(words).query(&mut client)
    };
    assert_eq!(config(&["get", "MAXMEMORY"]).unwrap(), ["maxmemory", "0"]);
    assert_eq!(config(&["get", "nothing"]).unwrap(), [""; 0]);
    assert!(config(&["get"]).is_err());
}

#[test]
fn a_client_may_name_itself_and_its_library_and_nothing_else() {
    let site = Site::new();
    let mut client = site.connect();
    let mut ask = |words: &str| -> RedisResult<Value> {
        let words: Vec<_> = words.split(' ').collect();
        cmd(words[0]).arg(&words[1..]).query(&mut client)
    };
    ask("HELLO 3 SETNAME one").unwrap();
    assert_eq!(ask("CLIENT GETNAME").unwrap(), Value::BulkString(b"one".into()));
    assert!(ask("HELLO 3 NAME two").is_err());
    assert_eq!(ask("CLIENT GETNAME").unwrap(), Value::BulkString(b"one".into()));
    assert_eq!(ask("CLIENT SETINFO LIB-NAME x").unwrap(), Value::Okay);
    assert!(ask("CLIENT INFO").is_err());
}
