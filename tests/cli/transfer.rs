use serde_json::Value;

use crate::fixture::{Holder, Site};

/// Dead letters of any bytes, with headers and rules of their own.
fn dead(site: &Site) -> Holder {
    let server = site.holder("other");
    let bytes = site.path().join("bytes");
    std::fs::write(&bytes, [0xff, 0x00, b'\n']).unwrap();
    site.run(&["push", "q", &format!("@{}", bytes.display()), "--max-attempts", "2"]).ok();
    let rule = ["--backoff", "list:1ms,2ms", "--max-attempts", "0"];
    let push = ["push", "q", "a \"text\"\nä", "--kind", "mail", "--header", "a=b"];
    site.run(&[&push[..], &rule].concat()).ok();
    // One at a time, so that they die in this order.
    let work = ["work", "q", "--exec", "echo why >&2; exit 65", "--until-empty", "-c", "1"];
    site.run(&work).ok();
    server
}

/// What an import has to bring back.
fn carried(message: &Value) -> [Value; 5] {
    ["id", "max_attempts", "header", "payload", "payload_base16"].map(|name| message[name].clone())
}

#[test]
fn an_export_brings_back_all_that_a_message_carries() {
    let site = Site::new();
    let _server = dead(&site);
    let file = site.path().join("dead.ndjson");
    let file = file.to_str().unwrap();
    let before = site.run(&["dead", "ls", "q"]).ok().lines();
    assert_eq!(site.run(&["dead", "export", "q", file]).ok().json()["exported"], 2);
    let first = std::fs::read_to_string(file).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(first["payload_base64"], "/wAK");
    assert!(first["history"][0]["error"].as_str().unwrap().ends_with("why"));
    assert_eq!(site.run(&["dead", "export", "q", file]).code, 1, "it overwrites nothing");

    let repeated = site.run(&["dead", "import", "q", file]).ok().json();
    assert_eq!((&repeated["imported"], &repeated["duplicates"]), (&0.into(), &2.into()));
    site.run(&["dead", "purge", "q", "--all"]).ok();
    let imported = site.run(&["dead", "import", "q", file]).ok().json();
    assert_eq!((&imported["imported"], &imported["duplicates"]), (&2.into(), &0.into()));
    let after = site.run(&["msg", "ls", "q", "--state", "ready"]).ok().lines();
    let carry = |messages: &[Value]| messages.iter().map(carried).collect::<Vec<_>>();
    assert_eq!(carry(&after), carry(&before));
    assert!(after.iter().all(|message| message["failures"] == 0));
    site.run(&["check", "q"]).ok();
}

#[test]
fn an_export_to_stdout_is_imported_elsewhere_and_so_is_a_list() {
    let site = Site::new();
    let _server = dead(&site);
    let exported = site.run(&["dead", "export", "q", "--error", "why"]).ok().stdout;
    assert_eq!(site.run_with(&["dead", "import", "copy"], &exported).ok().json()["imported"], 2);
    let listed = site.run(&["dead", "ls", "q"]).ok().stdout;
    assert_eq!(site.run_with(&["dead", "import", "list", "-"], &listed).ok().json()["imported"], 2);
    let payloads = |queue| -> Vec<_> {
        site.run(&["msg", "ls", queue]).ok().lines().iter().map(carried).collect()
    };
    assert_eq!(payloads("copy"), payloads("list"));
    assert!(site.run(&["dead", "export", "q", "--error", "else"]).ok().stdout.is_empty());
}

#[test]
fn a_line_that_is_no_letter_is_named_by_its_number() {
    let site = Site::new();
    let _server = site.holder("other");
    let good = r#"{"id":"01JD0Z3N9Q6V2G7T8K4M5R1XYZ","payload":"x"}"#;
    let run = site.run_with(&["dead", "import", "q"], &format!("{good}\n\n{{}}\n"));
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("line 3 is no letter: column"), "{run:?}");
    assert!(run.stderr.contains("missing field `id`"), "{run:?}");
    assert_eq!(site.run(&["dead", "import", "q", "/nowhere"]).code, 1);
}
