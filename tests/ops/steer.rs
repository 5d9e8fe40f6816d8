use std::time::Duration;

use redeliver::{
    Error, Message, Raw, RedriveFilter, RedrivePlan, RedriveState, RedriveTask, Redriver, Settled,
};

use crate::fixture::{Fixture, SECOND};

const ALWAYS: &str = "9000000000000";

type Told = (String, u64, u64, u64, u64, String);

fn steer(fixture: &Fixture, argv: &[&str]) -> (String, u64, u64, u64, String) {
    let (word, _now, moved, driven, left, text): Told = fixture.call("steer", argv);
    (word, moved, driven, left, text)
}

fn told(word: &str, numbers: [u64; 3], text: &str) -> (String, u64, u64, u64, String) {
    (word.into(), numbers[0], numbers[1], numbers[2], text.into())
}

#[tokio::test]
async fn steer_swaps_the_expected_text_and_redrives_with_it_or_does_nothing() {
    let fixture = Fixture::new().await;
    let ids = fixture.fill_dead(5).await;
    assert_eq!(steer(&fixture, &["", "a", "0", ALWAYS]), told("steered", [0, 0, 5], ""));
    assert_eq!(steer(&fixture, &["a", "a", "2", ALWAYS]), told("steered", [2, 2, 3], ""));
    let before = fixture.dump();
    let lost = told("lost", [0, 2, 3], "a");
    assert_eq!(steer(&fixture, &["", "", "0", ALWAYS]), lost);
    assert_eq!(steer(&fixture, &["b", "c", "1000", ALWAYS, &ids[4].to_string()]), lost);
    assert!(fixture.dump() == before, "whoever is lost changes nothing");
    let (dead, ready) = (ids[4].to_string(), ids[0].to_string());
    let steered = steer(&fixture, &["a", "", "0", ALWAYS, &dead, &ready, "nobody", &dead]);
    assert_eq!(steered, told("steered", [1, 3, 2], ""));
    assert_eq!(steer(&fixture, &["", "", "0", ALWAYS]), told("steered", [0, 3, 2], ""));
    assert_eq!(fixture.ids("ready"), [ids[0], ids[1], ids[4]].map(|id| id.to_string()));
    assert_eq!(fixture.counts().await.redriven, 3);
    fixture.assert_law().await;
}

#[tokio::test]
async fn steer_refuses_what_is_out_of_bounds() {
    let fixture = Fixture::new().await;
    let long = "x".repeat(32_769);
    for bad in
        [["", "", "-1", "1"], ["", "", "1001", "1"], ["", "", "1", ""], ["", &long, "0", "0"]]
    {
        fixture.refused("steer", &bad, "BADARG");
    }
    assert_eq!(steer(&fixture, &["", &long[1..], "0", "0"]).0, "steered");
    fixture.assert_law().await;
}

fn all() -> RedrivePlan {
    RedrivePlan { batch: 10, ..RedrivePlan::default() }
}

async fn driven(fixture: &Fixture, plan: RedrivePlan) -> RedriveTask {
    let redrive = fixture.queue.dead().start_redrive(plan).await.unwrap();
    redrive.run(std::future::pending::<()>(), |_| {}).await.unwrap()
}

/// Settles whatever is ready, time and again, until dropped.
fn settle(fixture: &Fixture, good: bool) -> tokio::task::JoinHandle<()> {
    let queue = fixture.queue.clone();
    tokio::spawn(async move {
        loop {
            for delivery in queue.claim(100).await.unwrap() {
                let settled =
                    if good { delivery.ack().await } else { delivery.bury("again").await };
                let _settled = settled.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

#[tokio::test]
async fn a_redrive_brings_back_what_was_dead_at_its_start_and_no_more() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(95).await;
    let all_of_them = fixture.queue.dead().count_matching(&RedriveFilter::default()).await;
    assert_eq!(all_of_them.unwrap(), 95);
    let redrive = fixture.queue.dead().start_redrive(all()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let late = fixture.push("late").await;
    fixture.bury(late).await;
    let task = redrive.run(std::future::pending::<()>(), |_| {}).await.unwrap();
    assert_eq!((task.state, task.redriven, task.left), (RedriveState::Done, 95, 0));
    assert_eq!(fixture.ids("dead"), [late.to_string()]);
    assert_eq!(driven(&fixture, all()).await.redriven, 1);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_filter_takes_what_it_names_and_counts_it_beforehand() {
    let fixture = Fixture::new().await;
    for error in ["timeout: db", "timeout: web", "no such user", "a timeout", "code  17 at 7b"] {
        fixture.push("a").await;
        let _settled = fixture.claim().await.bury(error).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let none = RedriveFilter::default;
    let filters = [
        (RedriveFilter { error: some("db"), ..none() }, 1),
        (RedriveFilter { class: some("timeout"), ..none() }, 1),
        (RedriveFilter { error: some("timeout"), ..none() }, 1),
        (RedriveFilter { group: some("code #"), ..none() }, 0),
        (RedriveFilter { group: some("code # at #"), ..none() }, 1),
        (RedriveFilter { kind: some("order"), ..none() }, 0),
        (RedriveFilter { min_attempts: Some(2), ..none() }, 0),
        (RedriveFilter { older_than: Some(60 * SECOND), ..none() }, 0),
        (RedriveFilter { max_attempts: Some(1), ..none() }, 1),
    ];
    for (filter, expected) in filters {
        assert_eq!(
            fixture.queue.dead().count_matching(&filter).await.unwrap(),
            expected,
            "{filter:?}"
        );
        let task = driven(&fixture, RedrivePlan { filter, ..all() }).await;
        assert_eq!((task.state, task.redriven), (RedriveState::Done, expected), "{task:?}");
    }
    assert_eq!(fixture.states().await, [5, 0, 0, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_filter_knows_kinds_and_attempts() {
    let fixture = Fixture::new().await;
    for (kind, deliveries) in [("order", 1), ("order", 2), ("mail", 2), ("mail", 3)] {
        fixture.queue.push(Message::new(Raw::from("a")).kind(kind)).await.unwrap();
        for _ in 1..deliveries {
            let _settled = fixture.claim().await.release(Duration::ZERO).await.unwrap();
        }
        let _settled = fixture.claim().await.bury("").await.unwrap();
    }
    let order = || RedriveFilter { kind: Some("order".into()), ..RedriveFilter::default() };
    let filters = [
        (RedriveFilter { min_attempts: Some(3), ..order() }, 0),
        (RedriveFilter { min_attempts: Some(2), ..order() }, 1),
        (order(), 1),
        (RedriveFilter { max_attempts: Some(2), ..RedriveFilter::default() }, 1),
        (RedriveFilter { min_attempts: Some(3), ..RedriveFilter::default() }, 1),
    ];
    for (filter, expected) in filters {
        let task = driven(&fixture, RedrivePlan { filter, ..all() }).await;
        assert_eq!((task.state, task.redriven), (RedriveState::Done, expected), "{task:?}");
        fixture.assert_law().await;
    }
    assert_eq!(fixture.states().await, [4, 0, 0, 0]);
}

#[tokio::test]
async fn a_filter_finds_everything_over_many_pages() {
    let fixture = Fixture::new().await;
    let ids = fixture.fill_dead(1000).await;
    for id in ids.iter().step_by(3) {
        let line = r#"1 1 3 [[1,1,"odd"]]"#;
        fixture.redis::<()>(&["HSET", &fixture.key("attempts"), &id.to_string(), line]);
    }
    let filter = RedriveFilter { error: Some("odd".into()), ..RedriveFilter::default() };
    assert_eq!(fixture.queue.dead().count_matching(&filter).await.unwrap(), 334);
    assert_eq!(driven(&fixture, RedrivePlan { filter, ..all() }).await.redriven, 334);
    assert_eq!(fixture.states().await, [334, 0, 0, 666]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_canary_stops_on_failing_handlers_and_goes_on_with_good_ones() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(60).await;
    let failing = settle(&fixture, false);
    let plan = RedrivePlan { canary: 7, ..all() };
    let task = driven(&fixture, plan.clone()).await;
    failing.abort();
    assert_eq!((task.state, task.redriven, task.failed), (RedriveState::Stopped, 7, 7));
    assert!(task.reason.unwrap().starts_with("7 of 7"));
    fixture.assert_law().await;
    let good = settle(&fixture, true);
    let task = driven(&fixture, plan).await;
    assert_eq!((task.state, task.redriven, task.good), (RedriveState::Done, 60, 7));
    good.abort();
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_canary_is_judged_when_all_of_it_is_settled_and_not_before() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(20).await;
    let plan = RedrivePlan { canary: 7, ..all() };
    let redrive = fixture.queue.dead().start_redrive(plan).await.unwrap();
    let (telling, mut told) = tokio::sync::watch::channel(redrive.task().clone());
    let tell = move |task: &RedriveTask| drop(telling.send_replace(task.clone()));
    let run = tokio::spawn(redrive.run(std::future::pending::<()>(), tell));
    told.wait_for(|task| task.redriven == 7).await.unwrap();
    let mut held = fixture.queue.claim(7).await.unwrap();
    // Whoever dies in the millisecond in which the redrive began has not died again.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let last = held.pop().unwrap();
    for delivery in held {
        assert_eq!(delivery.bury("again").await.unwrap(), Settled::Done);
    }
    let task = told.wait_for(|task| task.failed == 6).await.unwrap().clone();
    assert_eq!((task.state, task.redriven), (RedriveState::Canary, 7));
    let told = fixture.queue.dead().redrive_task().await.unwrap().unwrap();
    assert_eq!((told.failed, told.left), (6, 13));
    assert_eq!(last.ack().await.unwrap(), Settled::Done);
    let task = run.await.unwrap().unwrap();
    assert_eq!((task.state, task.redriven, task.good), (RedriveState::Stopped, 7, 1));
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_redrive_stops_itself_when_too_many_die_again() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(2000).await;
    let failing = settle(&fixture, false);
    let plan = RedrivePlan { rate: 200, max_failure_ratio: Some(0.5), ..all() };
    let task = driven(&fixture, plan).await;
    failing.abort();
    assert_eq!(task.state, RedriveState::Stopped, "{task:?}");
    assert!((20..2000).contains(&task.redriven), "{task:?}");
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_rate_is_never_exceeded() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(150).await;
    let begun = fixture.now_us();
    let task = driven(&fixture, RedrivePlan { rate: 100, ..all() }).await;
    let took = fixture.now_us() - begun;
    assert_eq!(task.redriven, 150);
    // A held-up driver makes up for one second at most; nothing is given in advance.
    assert!(took >= 1_480_000, "{took} us");
}

#[tokio::test]
async fn a_rate_gives_nothing_in_advance() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(20).await;
    let begun = std::time::Instant::now();
    let redrive = fixture.queue.dead().start_redrive(RedrivePlan { rate: 1, ..all() }).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    let look = |task: &RedriveTask| {
        assert!(task.redriven <= begun.elapsed().as_secs(), "{task:?}");
        stop.take();
    };
    redrive.unwrap().run(stopped, look).await.unwrap();
}

#[tokio::test]
async fn a_redrive_is_paused_resumed_and_cancelled_from_elsewhere() {
    let fixture = Fixture::new().await;
    let other = fixture.other().await;
    fixture.fill_dead(300).await;
    let plan = RedrivePlan { rate: 50, ..all() };
    let redrive = fixture.queue.dead().start_redrive(plan.clone()).await.unwrap();
    let run = tokio::spawn(redrive.run(std::future::pending::<()>(), |_| {}));
    let refused = other.dead().start_redrive(plan).await.unwrap_err();
    assert!(matches!(refused, Error::Redrive { action: "start", .. }), "{refused}");
    assert!(refused.to_string().contains("running, its driver was heard of"), "{refused}");
    assert!(other.dead().resume_redrive().await.is_err(), "its driver lives");
    let paused = other.dead().pause_redrive().await.unwrap();
    let left = run.await.unwrap().unwrap();
    assert_eq!((left.state, left.redriven), (RedriveState::Paused, paused.redriven));
    assert_eq!(left.left + left.redriven, 300);
    assert_eq!(fixture.counts().await.redriven, paused.redriven);
    assert!(other.dead().pause_redrive().await.is_err());
    let resumed = other.dead().resume_redrive().await.unwrap();
    assert_eq!(resumed.task().state, RedriveState::Running);
    // A shutdown pauses.
    let task = resumed.run(std::future::ready(()), |_| {}).await.unwrap();
    assert_eq!(task.state, RedriveState::Paused);
    assert_eq!(other.dead().cancel_redrive().await.unwrap().state, RedriveState::Cancelled);
    assert!(other.dead().resume_redrive().await.is_err());
    assert_eq!(driven(&fixture, all()).await.redriven + task.redriven, 300);
    fixture.assert_law().await;
}

#[tokio::test]
async fn an_orphan_is_taken_over_and_its_old_driver_moves_nothing_more() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(100).await;
    let first = fixture.queue.dead().start_redrive(all()).await.unwrap();
    fixture.orphan_redrive().await;
    let second = fixture.queue.dead().resume_redrive().await.unwrap();
    assert_ne!(first.task().driver, second.task().driver);
    let before = fixture.dump();
    let lost = first.run(std::future::pending::<()>(), |_| {}).await.unwrap();
    assert!(fixture.dump() == before, "the first driver moved something");
    assert_eq!(lost.driver, second.task().driver);
    let task = second.run(std::future::pending::<()>(), |_| {}).await.unwrap();
    assert_eq!((task.state, task.redriven), (RedriveState::Done, 100));
    fixture.assert_law().await;
}

#[tokio::test]
async fn redrivers_adopt_an_orphan_and_one_of_them_ends_it() {
    let fixture = Fixture::new().await;
    fixture.fill_dead(100).await;
    drop(fixture.queue.dead().start_redrive(all()).await.unwrap());
    fixture.orphan_redrive().await;
    let agents = [fixture.other().await, fixture.other().await]
        .map(|queue| tokio::spawn(Redriver::new(queue).run(std::future::pending::<()>())));
    let given_up = tokio::time::Instant::now() + 60 * SECOND;
    loop {
        let task = fixture.queue.dead().redrive_task().await.unwrap().unwrap();
        if task.state == RedriveState::Done {
            assert_eq!(task.redriven, 100);
            break;
        }
        assert!(tokio::time::Instant::now() < given_up, "{task:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for agent in agents {
        agent.abort();
    }
    assert_eq!(fixture.counts().await.redriven, 100);
    fixture.assert_law().await;
}

/// Its driver died after it had written down whom it watches, and before it brought them back.
#[tokio::test]
async fn a_canary_that_never_flew_flies_when_the_task_is_taken_over() {
    let fixture = Fixture::new().await;
    let ids = fixture.fill_dead(5).await;
    let plan = RedrivePlan { canary: 2, ..all() };
    drop(fixture.queue.dead().start_redrive(plan).await.unwrap());
    fixture.orphan_redrive().await;
    let meta = fixture.key("meta");
    let text: String = fixture.redis(&["HGET", &meta, "redrive_task"]);
    let watched = format!("\"watch\":[\"{}\",\"{}\"]", ids[0], ids[1]);
    let written = text.replace("\"watch\":[]", &watched);
    let written = written.replace("\"canary_left\":2", "\"canary_left\":0");
    fixture.redis::<()>(&["HSET", &meta, "redrive_task", &written]);
    let driver = Redriver::new(fixture.queue.clone()).run(std::future::pending::<()>());
    let driver = tokio::spawn(driver);
    while fixture.counts().await.redriven < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fixture.states().await, [2, 0, 0, 3]);
    driver.abort();
    let task = fixture.queue.dead().redrive_task().await.unwrap().unwrap();
    assert_eq!((task.state, task.good, task.failed), (RedriveState::Canary, 0, 0), "{text}");
    fixture.assert_law().await;
}

#[tokio::test]
async fn a_plan_out_of_bounds_is_refused_before_anything_is_sent() {
    let fixture = Fixture::new().await;
    let long = RedriveFilter { error: Some("x".repeat(257)), ..RedriveFilter::default() };
    let plans = [
        RedrivePlan { filter: long, ..all() },
        RedrivePlan { rate: 1_000_001, ..all() },
        RedrivePlan { canary: 257, ..all() },
        RedrivePlan { max_failure_ratio: Some(1.1), ..all() },
        RedrivePlan { max_failure_ratio: Some(f64::NAN), ..all() },
        RedrivePlan { batch: 1001, ..all() },
        RedrivePlan { batch: 0, ..all() },
    ];
    for plan in plans {
        let refused = fixture.queue.dead().start_redrive(plan.clone()).await.unwrap_err();
        assert!(refused.is_invalid() && !refused.is_transient(), "{plan:?}");
    }
    assert!(fixture.dump().iter().all(Option::is_none));
    let dead = fixture.queue.dead();
    assert!(dead.redrive_task().await.unwrap().is_none());
    assert!(dead.pause_redrive().await.is_err() && dead.cancel_redrive().await.is_err());
    let longest = RedriveFilter { error: Some("x".repeat(256)), ..RedriveFilter::default() };
    let (rate, canary, max_failure_ratio, batch) = (1_000_000, 256, Some(1.0), 1000);
    let plan = RedrivePlan { filter: longest, rate, canary, max_failure_ratio, batch };
    assert!(dead.start_redrive(plan).await.is_ok());
}
