use std::time::Duration;

use redeliver::{
    Cancelled, Due, MessageId, PARTITION_STRIDE, RedriveFilter, RedrivePlan, RedriveState,
    Rescheduled, Settled, State,
};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SECOND};
use crate::stage::{assert_sound, fill, laws, living, partitioned, until};

async fn filled() -> (Fixture, Vec<MessageId>) {
    let fixture = partitioned(3).await;
    let ids = (0..3).flat_map(|partition| fill(&fixture, partition, 4)).collect();
    (fixture, ids)
}

/// Buries everything that is ready.
async fn bury_all(fixture: &Fixture) {
    loop {
        let claimed = fixture.queue.claim(100).await.unwrap();
        if claimed.is_empty() {
            return;
        }
        for delivery in claimed {
            assert_eq!(delivery.bury("hopeless").await.unwrap(), Settled::Done);
        }
    }
}

#[tokio::test]
async fn messages_are_found_rescheduled_and_cancelled_wherever_they_are() {
    let (fixture, ids) = filled().await;
    let nobody = MessageId::generate();
    let asked: Vec<_> = ids.iter().copied().chain([nobody]).collect();
    let found = fixture.queue.find(&asked).await.unwrap();
    for (place, (id, found)) in ids.iter().zip(&found).enumerate() {
        let found = found.as_ref().unwrap();
        let partition = u32::try_from(place / 4).unwrap();
        assert_eq!((found.id, found.partition, found.state), (*id, partition, State::Ready));
    }
    assert!(found[12].is_none());
    let later = Due::After(3600 * SECOND);
    let moved = fixture.queue.reschedule(&asked, later).await.unwrap();
    assert!(moved[..12].iter().all(|it| *it == Rescheduled::Scheduled), "{moved:?}");
    assert_eq!(moved[12], Rescheduled::Missing);
    assert!(laws(&fixture.queue).await.iter().all(|counts| counts.scheduled == 4));
    let hours = [Duration::ZERO, 7200 * SECOND];
    assert_eq!(fixture.queue.forecast(&hours).await.unwrap().scheduled, [0, 12]);
    let cancelled = fixture.queue.cancel(&asked).await.unwrap();
    assert!(cancelled[..12].iter().all(|it| *it == Cancelled::Done));
    assert_eq!(cancelled[12], Cancelled::Missing);
    assert_eq!(fixture.counts().await.cancelled, 12);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn pages_go_through_one_partition_after_the_other() {
    let (fixture, ids) = filled().await;
    let (mut next, mut seen) = (Some(0), Vec::new());
    while let Some(start) = next {
        let page = fixture.queue.peek(State::Ready, start, 3).await.unwrap();
        let partition = u32::try_from(start / PARTITION_STRIDE).unwrap();
        assert!(
            page.messages.iter().all(|it| it.partition == partition) && page.messages.len() < 4
        );
        seen.extend(page.messages.iter().map(|it| it.id));
        next = page.next;
    }
    assert_eq!(seen, ids);
    let empty = fixture.queue.peek(State::Dead, 0, 3).await.unwrap();
    assert!(empty.messages.is_empty() && empty.next.is_none());
    let beyond = fixture.queue.peek(State::Ready, u64::MAX, 3).await.unwrap();
    assert!(beyond.messages.is_empty() && beyond.next.is_none());
    let last = fixture.queue.peek(State::Ready, 2 * PARTITION_STRIDE + 3, 3).await.unwrap();
    assert_eq!((last.messages[0].id, last.next), (ids[11], None));
}

#[tokio::test]
async fn dead_letters_are_redriven_and_purged_in_all_partitions() {
    let (fixture, ids) = filled().await;
    bury_all(&fixture).await;
    let now_ms = fixture.counts().await.now_ms;
    let dead = fixture.queue.dead();
    assert_eq!(dead.redrive(&[ids[0], ids[5], ids[10], MessageId::generate()]).await.unwrap(), 3);
    assert!(laws(&fixture.queue).await.iter().all(|counts| (counts.ready, counts.dead) == (1, 3)));
    let swept = dead.redrive_oldest(4, now_ms).await.unwrap();
    assert_eq!((swept.done, swept.left), (4, 5));
    assert_eq!(dead.purge(&[ids[11]]).await.unwrap(), 1);
    let swept = dead.purge_oldest(1000, now_ms).await.unwrap();
    assert_eq!((swept.done, swept.left), (4, 0));
    assert_eq!(fixture.states().await, [7, 0, 0, 0]);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn what_others_hold_is_released_and_buried_in_its_partition() {
    let (fixture, _) = filled().await;
    let claimed = loop {
        let claimed = fixture.queue.claim(12).await.unwrap();
        if claimed.len() == 12 {
            break claimed;
        }
    };
    let held = fixture.queue.peek(State::Pending, PARTITION_STRIDE, 10).await.unwrap().messages;
    assert_eq!(held.len(), 4);
    let (released, buried) = (held[0].clone(), held[1].clone());
    let settled = fixture.queue.release_held(&released, Duration::ZERO).await.unwrap();
    assert_eq!(settled, Settled::Done);
    assert_eq!(fixture.queue.bury_held(&buried, "gone").await.unwrap(), Settled::Done);
    let counts = &laws(&fixture.queue).await[1];
    assert_eq!((counts.ready, counts.pending, counts.dead), (1, 2, 1));
    drop(claimed);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_check_and_a_repair_go_through_all_partitions() {
    let (fixture, ids) = filled().await;
    let lost = ids[9].to_string();
    let ready = crate::stage::key(&fixture, 2, "ready");
    fixture.redis::<()>(&["LREM", &ready, "1", &lost]);
    let mut told = 0;
    let report = fixture.queue.check(|looked_at| told = looked_at).await.unwrap();
    assert!(report.damaged == 1 && !report.is_clean(), "{report:?}");
    assert_eq!(told, report.looked_at);
    let repaired = fixture.queue.repair(|_| {}).await.unwrap();
    assert!(repaired.is_clean() && repaired.counts.ready == 12, "{repaired:?}");
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_destroyed_queue_leaves_no_partition_behind() {
    let (fixture, _) = filled().await;
    fixture.queue.set_partitions(2).await.unwrap();
    let stranger = fixture.other().await;
    assert_eq!(stranger.destroy().await.unwrap(), 12);
    let keys: Vec<String> = fixture.redis(&["KEYS", &format!("rd:{{{}.*", fixture.queue.name())]);
    assert_eq!(keys, Vec::<String>::new());
    let name = fixture.queue.name();
    assert!(!fixture.queue.server().queues().await.unwrap().contains(name));
    // It begins anew, with one partition.
    stranger.push(redeliver::Raw::from("x")).await.unwrap();
    assert_eq!(stranger.partitions().await.unwrap().count, 1);
    assert_eq!(living(&stranger).await.len(), 1);
    assert!(fixture.queue.server().queues().await.unwrap().contains(name));
}

#[tokio::test]
async fn a_redrive_goes_through_all_partitions_and_takes_what_was_dead_at_its_start() {
    for canary in [0, 6] {
        let (fixture, ids) = filled().await;
        bury_all(&fixture).await;
        let dead = fixture.queue.dead();
        let plan = RedrivePlan { canary, batch: 3, ..RedrivePlan::default() };
        let redrive = dead.start_redrive(plan).await.unwrap();
        let (stop, acking) = (CancellationToken::new(), fixture.other().await);
        let acker = tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                for delivery in acking.claim(5).await.unwrap() {
                    assert_eq!(delivery.ack().await.unwrap(), Settled::Done);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }));
        let mut left = Vec::new();
        let pending = std::future::pending::<()>();
        let task = redrive.run(pending, |task| left.push(task.left)).await.unwrap();
        assert_eq!((task.state, task.redriven, task.left), (RedriveState::Done, 12, 0));
        assert!(left.is_sorted_by(|a, b| a >= b) && left[0] >= 8, "{left:?}");
        let told = dead.redrive_task().await.unwrap().unwrap();
        assert_eq!((told.redriven, told.left), (12, 0));
        until(async || fixture.counts().await.acked == 12).await;
        stop.cancel();
        acker.await.unwrap();
        assert!(fixture.queue.find(&ids).await.unwrap().iter().all(Option::is_none));
        assert_sound(&fixture).await;
    }
}

#[tokio::test]
async fn a_redrive_that_was_paused_goes_on_in_the_partition_where_it_was() {
    let (fixture, _) = filled().await;
    bury_all(&fixture).await;
    let dead = fixture.queue.dead();
    let filter = RedriveFilter { older_than: Some(Duration::ZERO), ..RedriveFilter::default() };
    assert_eq!(dead.count_matching(&filter).await.unwrap(), 12);
    let plan = RedrivePlan { batch: 1, ..RedrivePlan::default() };
    let mut redrive = dead.start_redrive(plan).await.unwrap();
    for _ in 0..3 {
        let stop = CancellationToken::new();
        let mut steps = 0;
        let paused = redrive.run(stop.clone().cancelled_owned(), |_| {
            steps += 1;
            if steps == 3 {
                stop.cancel();
            }
        });
        assert_eq!(paused.await.unwrap().state, RedriveState::Paused);
        redrive = fixture.other().await.dead().resume_redrive().await.unwrap();
    }
    let task = redrive.run(std::future::pending::<()>(), |_| {}).await.unwrap();
    assert_eq!((task.state, task.left), (RedriveState::Done, 0));
    assert_eq!(fixture.states().await, [12, 0, 0, 0]);
    assert_eq!(fixture.counts().await.redriven, 12);
    assert_sound(&fixture).await;
}
