use crate::fixture::Site;

#[test]
fn the_demo_kills_a_worker_and_loses_nothing() {
    let site = Site::new();
    let run = site.run(&["demo", "--json"]).ok();
    let summary: serde_json::Value =
        serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["pushed"], &summary["acked"]), (&200.into(), &200.into()));
    assert_eq!((&summary["lost"], &summary["law"]), (&0.into(), &"holds".into()));
    assert!(summary["dead"].as_u64().unwrap() > 0);
    assert!(summary["reclaimed"].as_u64().unwrap() > 0, "the killed worker held some");
    assert_eq!(summary["redriven"], summary["dead"]);
    assert!(!site.data().exists(), "it has a server of its own");
}
