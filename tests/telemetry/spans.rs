//! The spans, and the trace that a message carries from its push to its handlers.

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use redeliver::{Backoff, Context, Message, MessageId, Outcome, Policy, Raw, Worker};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::fixture::{Fixture, SECOND, shared};

const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Collects the spans of this thread; the test's runtime has no other.
struct Traced {
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _default: tracing::subscriber::DefaultGuard,
}

impl Traced {
    fn start() -> Self {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        let default = tracing::subscriber::set_default(subscriber);
        Self { exporter, _provider: provider, _default: default }
    }

    /// The spans of this message, in the order of their ends.
    fn spans(&self, id: MessageId) -> Vec<SpanData> {
        let is_of = |span: &SpanData| told(span, "messaging.message.id") == id.to_string();
        self.exporter.get_finished_spans().unwrap().into_iter().filter(is_of).collect()
    }
}

fn told(span: &SpanData, name: &str) -> String {
    let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
    attribute.map_or_else(String::new, |attribute| attribute.value.to_string())
}

async fn fixture() -> Fixture {
    Fixture::on(shared(), Policy::default().backoff(Backoff::None)).await
}

/// Handles the queue's only message so often: fails until the last attempt. Gives its headers.
async fn handle(fixture: &Fixture, attempts: u64) -> Vec<(String, String)> {
    let (note, mut noted) = mpsc::unbounded_channel();
    let handler = move |_: Raw, cx: Context| {
        let note = note.clone();
        async move {
            note.send(cx.header().headers.clone()).unwrap();
            if cx.attempt() < attempts { Outcome::retry("not yet") } else { Outcome::Ack }
        }
    };
    let stop = CancellationToken::new();
    let worker = Worker::new(fixture.queue.clone(), handler).run(stop.clone().cancelled_owned());
    let worker = tokio::spawn(worker);
    let mut headers = Vec::new();
    for _ in 0..attempts {
        headers = noted.recv().await.unwrap().into_iter().collect();
    }
    stop.cancel();
    worker.await.unwrap().unwrap();
    headers
}

#[tokio::test]
async fn the_first_attempt_goes_on_with_the_trace_of_the_push_and_the_second_links_to_it() {
    let traced = Traced::start();
    let fixture = fixture().await;
    let id = fixture.push("x").await;
    handle(&fixture, 2).await;
    let spans = traced.spans(id);
    let [push, first, second] = &spans[..] else { panic!("{spans:#?}") };
    let name = fixture.queue.name();
    assert_eq!(
        (push.name.as_ref(), &push.span_kind),
        (&*format!("send {name}"), &SpanKind::Producer)
    );
    for (attempt, span) in [("1", first), ("2", second)] {
        assert_eq!(span.name, format!("process {name}"));
        assert_eq!(span.span_kind, SpanKind::Consumer);
        assert_eq!(told(span, "messaging.system"), "redeliver");
        assert_eq!(told(span, "messaging.destination.name"), name.as_str());
        assert_eq!(told(span, "redeliver.attempt"), attempt);
    }
    assert_eq!(first.parent_span_id, push.span_context.span_id());
    assert!(first.parent_span_is_remote);
    assert_eq!(first.span_context.trace_id(), push.span_context.trace_id());
    assert!(matches!(first.status, Status::Error { .. }), "{first:?}");
    assert_eq!(second.parent_span_id, SpanId::INVALID);
    assert_ne!(second.span_context.trace_id(), push.span_context.trace_id());
    let links: Vec<_> = second.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [push.span_context.span_id()]);
    assert_eq!(second.status, Status::Unset);
}

#[tokio::test]
async fn a_push_within_a_span_belongs_to_its_trace_alone_or_together() {
    use tracing::Instrument as _;
    let traced = Traced::start();
    let fixture = fixture().await;
    let order = tracing::info_span!("order");
    fixture.queue.push_all([Raw::from("x"), Raw::from("y")]).instrument(order).await.unwrap();
    let finished = traced.exporter.get_finished_spans().unwrap();
    let [push, order] = &finished[..] else { panic!("{finished:#?}") };
    assert_eq!(push.parent_span_id, order.span_context.span_id());
    assert_eq!(told(push, "messaging.batch.message_count"), "2");
    for _ in 0..2 {
        let carried = fixture.claim().await.header().headers["traceparent"].clone();
        assert!(carried.contains(&push.span_context.span_id().to_string()), "{carried}");
    }
}

#[tokio::test]
async fn the_users_own_header_wins() {
    let traced = Traced::start();
    let fixture = fixture().await;
    let message = Message::new(Raw::from("x")).header("traceparent", OWN);
    let id = fixture.queue.push(message).await.unwrap().id();
    let headers = handle(&fixture, 1).await;
    assert_eq!(headers, [("traceparent".to_owned(), OWN.to_owned())]);
    let spans = traced.spans(id);
    assert_eq!(spans[1].parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(spans[1].span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn a_malformed_header_is_ignored() {
    let traced = Traced::start();
    for malformed in ["", "garbage", &OWN[..52], &OWN.replace("00f067aa0ba902b7", &"0".repeat(16))]
    {
        let fixture = fixture().await;
        let message = Message::new(Raw::from("x")).header("traceparent", malformed);
        let id = fixture.queue.push(message).await.unwrap().id();
        let headers = handle(&fixture, 2).await;
        assert_eq!(headers, [("traceparent".to_owned(), malformed.to_owned())]);
        for span in &traced.spans(id)[1..] {
            assert_eq!(
                (span.parent_span_id, span.links.len()),
                (SpanId::INVALID, 0),
                "{malformed}"
            );
        }
    }
}

#[tokio::test]
async fn without_a_trace_a_message_carries_none() {
    let fixture = fixture().await;
    let id = fixture.push("x").await.to_string();
    let record: String = fixture.redis(&["HGET", &fixture.key("messages"), &id]);
    assert_eq!(record.split_once('\n').unwrap().1, "\nx");
}

#[tokio::test]
async fn a_context_without_spans_is_carried_with_its_state() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let fixture = fixture().await;
    let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
    let state = TraceState::from_key_value([("vendor", "value")]).unwrap();
    let active = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
    let active = opentelemetry::Context::new().with_remote_span_context(active);
    let active = active.attach();
    fixture.push("x").await;
    drop(active);
    let claimed = fixture.claim().await;
    let headers = &claimed.header().headers;
    let parent = format!("00-{}-{}-01", "01".repeat(16), "02".repeat(8));
    assert_eq!((&*headers["traceparent"], &*headers["tracestate"]), (&*parent, "vendor=value"));
}

#[tokio::test]
async fn a_trace_makes_no_message_too_large() {
    let _traced = Traced::start();
    let fixture = fixture().await;
    let large = "v".repeat(redeliver::MAX_HEADER - 100);
    fixture.queue.push(Message::new(Raw::from("x")).header("h", large)).await.unwrap();
    assert!(!fixture.claim().await.header().headers.contains_key("traceparent"));
    let roomy = Message::new(Raw::from("x")).header("h", "v").delay(SECOND);
    let id = fixture.queue.push(roomy).await.unwrap().id();
    let found = fixture.queue.find(&[id]).await.unwrap().remove(0).unwrap();
    assert!(found.header.headers.contains_key("traceparent"));
    assert!(!found.header.headers.contains_key("tracestate"), "an empty state is none");
}
