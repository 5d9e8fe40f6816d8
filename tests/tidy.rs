//! The repository tests itself: layers, mates, headers, sizes, key literals, titles.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a repository that cannot be read is untidy"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const MAX_FILE: usize = 400;
const MAX_FUNCTION: usize = 70;
const MAX_HEADER: usize = 20;
const MAX_LUA_WIDTH: usize = 100;

/// The modules of `src/`, lowest first: each may import only what stands before it.
const ORDER: [&[&str]; 6] = [
    // values
    &[
        "error",
        "name",
        "metrics",
        "unmetered",
        "damage",
        "backoff",
        "durability",
        "policy",
        "attempt",
        "group",
        "message",
        "record",
        "outcome",
        "routing",
        "spans",
        "together",
    ],
    // redis
    &[
        "simulated",
        "keys",
        "rights",
        "script",
        "embedded",
        "slots",
        "fault",
        "access",
        "connect",
        "link",
        "address",
        "ask",
        "locate",
        "route",
        "store",
        "waiter",
    ],
    // verbs
    &["op"],
    // api
    &[
        "scripts",
        "server",
        "batch",
        "proven",
        "partition",
        "news",
        "shared",
        "pushed",
        "producer",
        "spread",
        "repartition",
        "by_id",
        "snapshot",
        "dead_letters",
        "plan",
        "task",
        "reach",
        "drive",
        "redrive",
        "delivery",
        "claims",
        "queue",
        "held",
        "audit",
    ],
    // agents
    &[
        "sweep", "serving", "poller", "redriver", "lease", "agents", "context", "handling", "lane",
        "worker",
    ],
    // for the tests of others
    &["testing"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder with this ending, as paths from the root.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<PathBuf> {
    ["src", "tests", "benches", "examples"].iter().flat_map(|folder| files(folder, "rs")).collect()
}

fn verbs() -> BTreeSet<String> {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files("lua", "lua").iter().map(stem).filter(|stem| stem != "prelude").collect()
}

#[test]
fn modules_import_downwards_only() {
    let rank: BTreeMap<_, _> = ORDER
        .iter()
        .flat_map(|layer| layer.iter())
        .enumerate()
        .map(|(i, name)| (*name, i))
        .collect();
    for path in files("src", "rs") {
        let text = path.to_str().unwrap();
        let module = match text.strip_prefix("src/").unwrap().split_once('/') {
            Some((folder @ ("op" | "embedded"), _)) => folder,
            Some(_) => continue,
            None => text.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap(),
        };
        // The fuzzing is a test of all layers.
        if module == "lib" || module == "fuzz" {
            continue;
        }
        let own = rank.get(module).unwrap_or_else(|| panic!("{module} stands in no layer"));
        let code = read(&path);
        let code = code.split("#[cfg(test)]").next().unwrap();
        for imported in code.split("crate::").skip(1) {
            let name = imported.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let Some(theirs) = rank.get(name) else {
                continue;
            };
            assert!(theirs <= own, "{text} imports crate::{name}, which stands above it");
            let sibling = module == "op" && name == "op";
            assert!(!sibling, "{text} imports another verb");
        }
    }
}

#[test]
fn every_script_has_its_mates() {
    let main = read("tests/ops/main.rs");
    let benches = read("benches/ops.rs");
    let list = read("src/op/mod.rs");
    let sources = read("tests/ops/sources.rs");
    let verbs = verbs();
    for verb in &verbs {
        assert!(read(format!("src/op/{verb}.rs")).contains(&format!("lua!(\"{verb}\"")), "{verb}");
        assert!(list.contains(&format!("&{verb}::SCRIPT,")), "{verb} is not in op::ALL");
        assert!(!read(format!("tests/ops/{verb}.rs")).is_empty(), "{verb} has no tests");
        assert!(main.contains(&format!("mod {verb};")), "tests/ops/{verb}.rs is not compiled");
        assert!(benches.contains(&format!("\"{verb}\"")), "{verb} has no bench group");
        assert!(sources.contains(&format!("\"{verb}\"")), "{verb} is not among the sources");
    }
    for path in files("src/op", "rs") {
        let verb = path.file_stem().unwrap().to_str().unwrap();
        assert!(verb == "mod" || verbs.contains(verb), "{} has no script", path.display());
    }
}

/// The keys that a piece of Lua names, by itself or through the prelude's functions.
fn keys_used(code: &str, functions: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    const KEYS: [&str; 10] = [
        "READY",
        "SCHEDULED",
        "PENDING",
        "DEAD",
        "MESSAGES",
        "ATTEMPTS",
        "KEYED",
        "BELL",
        "ALARM",
        "META",
    ];
    let code: String =
        code.lines().map(|line| line.split("--").next().unwrap()).collect::<Vec<_>>().join("\n");
    let words: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut used: BTreeSet<String> =
        KEYS.iter().filter(|key| words.contains(*key)).map(|key| (*key).to_owned()).collect();
    if words.contains("KEYS") {
        used.extend(KEYS.iter().map(|key| (*key).to_owned()));
    }
    for (name, keys) in functions {
        if words.contains(name.as_str()) {
            used.extend(keys.iter().cloned());
        }
    }
    used
}

/// The prelude's functions with the keys that they touch. `open` reads the size of every key, in
/// every script: that is its rule, not a script's use.
fn prelude_functions() -> BTreeMap<String, BTreeSet<String>> {
    let mut functions = BTreeMap::new();
    for part in read("lua/prelude.lua").split("local function ").skip(1) {
        let name = part.split('(').next().unwrap().to_owned();
        let body = part.split("\nend").next().unwrap();
        let keys = if name == "open" {
            BTreeSet::from(["META".to_owned()])
        } else {
            keys_used(body, &functions)
        };
        functions.insert(name, keys);
    }
    functions
}

#[test]
fn every_header_matches_its_script() {
    let functions = prelude_functions();
    for verb in verbs() {
        let script = read(format!("lua/{verb}.lua"));
        let header: Vec<&str> = script.lines().take_while(|line| line.starts_with("--")).collect();
        let body = &script[header.iter().map(|line| line.len() + 1).sum::<usize>()..];
        assert!(header.len() <= MAX_HEADER, "{verb}: the header is longer than {MAX_HEADER} lines");
        assert!(header[1].starts_with(&format!("-- {verb}: ")), "{verb}: no purpose");
        let field = |name: &str| {
            let line = header.iter().find_map(|line| line.strip_prefix(&format!("-- {name}")));
            line.unwrap_or_else(|| panic!("{verb}: no {name}")).trim().to_owned()
        };
        for name in ["ARGV", "RETURNS", "COST"] {
            assert!(!field(name).is_empty(), "{verb}: {name} says nothing");
        }
        let told: BTreeSet<String> = field("USES").split(' ').map(str::to_owned).collect();
        assert_eq!(told, keys_used(body, &functions), "{verb}: USES is not what the body uses");
        let flags = match field("FLAGS").as_str() {
            "none" => format!("lua!(\"{verb}\")"),
            flags => format!("lua!(\"{verb}\", {})", flags.replace('-', "_")),
        };
        assert!(read(format!("src/op/{verb}.rs")).contains(&flags), "{verb}: FLAGS differ");
    }
}

#[test]
fn scripts_keep_their_rules() {
    for path in files("lua", "lua") {
        let script = read(&path);
        for banned in ["cjson", "cmsgpack", "struct.", "pcall", "~= nil", "== nil", "\t"] {
            assert!(!script.contains(banned), "{} has {banned:?}", path.display());
        }
        if path.file_stem().unwrap() != "prelude" {
            assert!(!script.contains("KEYS["), "{} indexes KEYS", path.display());
            assert!(!script.contains("'TIME'"), "{} reads the clock by itself", path.display());
        }
        let wide = script.lines().find(|line| line.chars().count() > MAX_LUA_WIDTH);
        assert!(wide.is_none(), "{} has a wide line: {wide:?}", path.display());
    }
}

#[test]
fn keys_are_spelt_in_one_place() {
    for path in files("src", "rs") {
        if path.ends_with("keys.rs") {
            continue;
        }
        let code = read(&path);
        for literal in ["rd:{", ":ready\"", ":pending\"", ":bell\"", ":alarm\"", ":meta\""] {
            assert!(!code.contains(literal), "{} spells the key {literal:?}", path.display());
        }
    }
}

#[test]
fn files_and_functions_stay_short() {
    let scripts = files("lua", "lua");
    for path in sources().iter().chain(&scripts) {
        let lines = read(path).lines().count();
        assert!(lines <= MAX_FILE, "{} has {lines} lines", path.display());
    }
    for path in sources() {
        let code = read(&path);
        let mut begun: Option<(usize, usize, &str)> = None;
        for (number, line) in code.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_function = line.contains("fn ") && !line.trim_start().starts_with("//");
            match begun {
                None if is_function && !line.ends_with(';') => begun = Some((number, indent, line)),
                Some((start, depth, name)) if line.trim() == "}" && indent == depth => {
                    let length = number - start + 1;
                    assert!(
                        length <= MAX_FUNCTION,
                        "{}: {name} has {length} lines",
                        path.display()
                    );
                    begun = None;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn every_document_has_one_title() {
    let documents = [".", "docs", "lua"].map(|folder| root().join(folder));
    for folder in documents {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let mut fenced = false;
                let mut titles = 0;
                for line in read(&path).lines() {
                    fenced ^= line.starts_with("```");
                    titles += usize::from(!fenced && line.starts_with("# "));
                }
                assert_eq!(titles, 1, "{}", path.display());
            }
        }
    }
}

/// The names of metrics in a text, each without what a histogram's series append.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let names = words.filter(|word| word.starts_with("redeliver_"));
    let ends = ["_bucket", "_sum", "_count"];
    let name = |word: &str| {
        let end = ends.iter().find_map(|end| word.strip_suffix(end));
        end.unwrap_or(word).to_owned()
    };
    names.map(name).collect()
}

#[test]
fn every_metric_is_documented_shown_and_named_in_one_place() {
    let named = metrics_in(&read("src/metrics.rs"));
    let documented = metrics_in(&read("docs/operating.md"));
    assert_eq!(named, documented);
    let shown = metrics_in(&read("docs/monitoring/dashboard.json"));
    assert_eq!(named, shown);
    for path in files("src", "rs").iter().filter(|path| !path.ends_with("metrics.rs")) {
        let code = read(path);
        let spelt = named.iter().find(|name| code.contains(&format!("\"{name}\"")));
        assert!(spelt.is_none(), "{} spells {spelt:?}", path.display());
    }
    let alerts = metrics_in(&read("docs/monitoring/alerts.yml"));
    assert!(alerts.is_subset(&named), "{:?}", alerts.difference(&named));
}

#[test]
fn every_alert_leads_to_its_place_in_the_runbook() {
    let text = read("docs/operating.md");
    let runbook = text.split("## Runbook").nth(1).unwrap();
    let titles = runbook.lines().filter_map(|line| line.strip_prefix("### "));
    let anchor = |title: &str| {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
    };
    let anchors: BTreeSet<_> = titles.map(anchor).collect();
    let rules = read("docs/monitoring/alerts.yml");
    let links: Vec<_> = rules.split("runbook_url: docs/operating.md#").skip(1).collect();
    assert_eq!(links.len(), rules.matches("- alert: ").count());
    for link in links {
        let link = link.lines().next().unwrap();
        assert!(anchors.contains(link), "{link} is none of {anchors:?}");
    }
}
