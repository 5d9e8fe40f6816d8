use std::process::Command;

use serde_json::Value;

use crate::fixture::{Run, Site, finish};

fn run(command: &mut Command) -> Run {
    finish(command.spawn().unwrap())
}

fn options(run: &Run) -> Vec<[Value; 3]> {
    let lines = run.lines();
    lines.iter().map(|line| ["option", "value", "origin"].map(|name| line[name].clone())).collect()
}

#[test]
fn a_flag_is_stronger_than_the_environment_and_that_than_the_file() {
    let site = Site::new();
    let dir = site.path().join("config/redeliver");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), "prefix = \"file\"\noutput = \"json\"\nquiet = true\n")
        .unwrap();
    let show = ["config", "show", "--origin"];
    let shown = |command: &mut Command| -> Vec<_> {
        let run = run(command.args(["-o", "ndjson"])).ok();
        let wanted = |row: &[Value; 3]| row[0] == "prefix" || row[0] == "quiet";
        options(&run).into_iter().filter(wanted).map(|[_, value, origin]| (value, origin)).collect()
    };
    let quiet = (true.into(), "file".into());
    assert_eq!(shown(&mut site.command(&show)), [("file".into(), "file".into()), quiet.clone()]);
    let by_environment = [("env".into(), "environment".into()), quiet.clone()];
    assert_eq!(shown(site.command(&show).env("REDELIVER_PREFIX", "env")), by_environment);
    let by_flag = [("flag".into(), "flag".into()), quiet];
    let mut both = site.command(&[&show[..], &["--prefix", "flag"]].concat());
    assert_eq!(shown(both.env("REDELIVER_PREFIX", "env")), by_flag);
    let listed = site.run(&["config", "show"]).ok();
    assert!(listed.stdout.starts_with("[\n"), "the file says json: {listed:?}");
}

#[test]
fn a_wrong_key_or_value_is_named_with_its_file() {
    let site = Site::new();
    let file = site.path().join("c.toml");
    let wrong = [
        ("url = \"redis://:canary@h\"\nprefx = \"x\"", "line 2: unknown field `prefx`"),
        ("\n\nquiet = 1", "line 3: invalid type"),
        ("url = \"redis://:canary@h", "line 1: "),
    ];
    for (text, told) in wrong {
        std::fs::write(&file, text).unwrap();
        let run = site.run(&["config", "show", "--config", file.to_str().unwrap()]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(&format!("c.toml, {told}")), "{run:?}");
        assert!(!run.stderr.contains("canary"), "{run:?}");
    }
    assert_eq!(site.run(&["counts", "q", "--config", "/nowhere"]).code, 2);
}

#[test]
fn config_show_tells_the_whole_url_but_for_its_password_and_a_file_names_the_server() {
    let site = Site::new();
    let file = site.path().join("c.toml");
    std::fs::write(&file, "url = \"redis://u:canary@127.0.0.1:1/3\"").unwrap();
    let file = file.to_str().unwrap();
    let shown = site.run(&["config", "show", "--origin", "--config", file, "-o", "table"]).ok();
    assert!(!shown.stdout.contains("canary"), "{shown:?}");
    let url = shown.stdout.lines().find(|line| line.contains(" url ")).unwrap();
    assert!(url.contains(" redis://u:***@127.0.0.1:1/3 "), "{url}");
    assert!(url.ends_with(&format!(" file {file}")), "{url}");
    let used = run(site.command(&["counts"]).env("REDELIVER_CONFIG", file));
    assert_eq!(used.code, 3, "{used:?}");
    assert!(!used.stderr.contains("canary"), "{used:?}");
}

#[test]
fn config_show_tells_the_engine_and_flags_as_flags() {
    let site = Site::new();
    let shown = run(site.command(&["config", "show", "-q"]).env("REDELIVER_ENGINE", "embedded"));
    let shown = shown.ok();
    let value = |wanted: &str| {
        let row = shown.lines().into_iter().find(|row| row["option"] == wanted).unwrap();
        row["value"].clone()
    };
    assert_eq!(value("engine"), "embedded");
    assert_eq!((value("quiet"), value("no_color")), (true.into(), false.into()));
}

#[test]
fn an_empty_url_is_a_wrong_one_and_starts_no_server() {
    let site = Site::new();
    let file = site.path().join("c.toml");
    std::fs::write(&file, "url = \"\"").unwrap();
    let file = file.to_str().unwrap();
    for command in [&["counts"][..], &["push", "q", "x"], &["demo"]] {
        let by_flag = site.run(&[command, &["--url", ""]].concat());
        let by_variable = run(site.command(command).env("REDELIVER_URL", ""));
        let by_file = site.run(&[command, &["--config", file]].concat());
        for run in [by_flag, by_variable, by_file] {
            assert_eq!(run.code, 2, "{run:?}");
            assert!(run.stderr.contains("the URL is empty"), "{run:?}");
        }
    }
    assert!(!site.data().exists());
    run(site.command(&["scripts", "ls"]).env("REDELIVER_URL", "")).ok();
}
