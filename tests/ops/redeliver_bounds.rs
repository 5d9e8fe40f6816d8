//! How much one redeliver reads.

use crate::fixture::SECOND;
use crate::fixture::under_test::{Only, lacks};
use crate::pages::{self, LONG, pages_of, push};

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
