use crate::fixture::Fixture;

#[tokio::test]
async fn resume_hands_out_again_what_waited() {
    let fixture = Fixture::new().await;
    fixture.queue.pause().await.unwrap();
    fixture.push_many(3).await;
    assert!(fixture.queue.claim(10).await.unwrap().is_empty());
    fixture.queue.resume().await.unwrap();
    assert!(!fixture.counts().await.paused);
    assert_eq!(fixture.queue.claim(10).await.unwrap().len(), 3);
    assert_eq!(fixture.states().await, [0, 0, 3, 0]);
    fixture.assert_law().await;
}

#[tokio::test]
async fn resume_rings_the_bell_when_something_is_ready() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.call::<String>("resume", &[]), "resumed");
    assert_eq!(fixture.len("bell"), 0);
    fixture.queue.pause().await.unwrap();
    fixture.push("a").await;
    assert_eq!(fixture.len("bell"), 0);
    for _ in 0..2 {
        assert_eq!(fixture.call::<String>("resume", &[]), "resumed");
        assert_eq!(fixture.len("bell"), 1);
    }
    fixture.assert_law().await;
}
