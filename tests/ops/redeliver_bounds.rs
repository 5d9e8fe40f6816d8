//! How much one redeliver reads, and how little it rings for.

use crate::fixture::under_test::{Only, lacks};
use crate::fixture::{Fixture, SECOND};
use crate::pages::{self, LONG, pages_of, push};
use crate::redeliver::{HOUR, overdue, redeliver, schedule, set_due, set_time, undisturbed};

/// No test lasts until then.
const FAR: u64 = 4_000_000_000_000;

#[tokio::test]
async fn redeliver_reads_no_more_records_than_its_budget_may_have_room_for() {
    if lacks(Only::Monitor) {
        return;
    }
    for (length, pages, reclaimed) in [(100, &[1, 16, 3][..], 20), (LONG, &[1, 2, 1], 4)] {
        let fixture = pages::queue().await;
        push(&fixture, 20, length).await;
        for _ in 0..20 {
            for held in fixture.queue.claim(20).await.unwrap() {
                fixture.age("pending", held.id(), 3600 * SECOND);
            }
        }
        let read = pages_of(&fixture, async {
            assert_eq!(fixture.queue.redeliver(20).await.unwrap().reclaimed, reclaimed, "{length}");
        });
        assert_eq!(read.await, pages, "{length}");
        fixture.assert_law().await;
    }
}

#[tokio::test]
async fn redeliver_rings_for_one_due_or_one_overdue_whoever_watches_already() {
    let fixture = Fixture::new().await;
    let held = overdue(&fixture, 1).await[0];
    let [due, next] = schedule(&fixture, 2, HOUR).await[..] else { panic!("two were scheduled") };
    let rung = undisturbed(&fixture, next, |_| {
        [(1, FAR), (FAR, 1), (1, 1)].map(|(held_at, due_at)| {
            set_time(&fixture, "pending", held, FAR);
            set_due(&fixture, due, FAR);
            redeliver(&fixture, "10", "p");
            fixture.silence();
            set_time(&fixture, "pending", held, held_at);
            set_due(&fixture, due, due_at);
            let moved = redeliver(&fixture, "10", "p");
            (moved[0], moved[1], fixture.len("bell"))
        })
    });
    assert_eq!(rung, [(0, 1, 1), (1, 0, 1), (1, 1, 1)]);
}
