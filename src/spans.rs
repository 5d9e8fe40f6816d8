//! Spans for tracing, by the conventions of OpenTelemetry for messaging, and the trace that a message
//! carries: the only place that names them.
//!
//! Without a subscriber a span costs the look at one flag.

use std::collections::BTreeMap;

use tracing::{Span, field};

use crate::message::Header;
use crate::name::{MessageId, QueueName};
use crate::outcome::Outcome;

/// What `messaging.system` says.
const SYSTEM: &str = "redeliver";

/// A push of some messages; whoever handles the first attempt of one goes on from here.
pub(crate) fn send(queue: &QueueName, messages: usize) -> Span {
    tracing::info_span!(
        target: "redeliver",
        "send",
        otel.name = %format_args!("send {queue}"),
        otel.kind = "producer",
        messaging.system = SYSTEM,
        messaging.operation.name = "push",
        messaging.operation.type = "send",
        messaging.destination.name = %queue,
        messaging.batch.message_count = (messages > 1).then_some(messages),
        messaging.message.id = field::Empty,
        otel.status_code = field::Empty,
    )
}

/// Notes which message the span is about, where it is one.
pub(crate) fn sent(span: &Span, id: MessageId) {
    span.record("messaging.message.id", field::display(id));
}

/// Notes that nothing was pushed, or nobody knows.
pub(crate) fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// One delivery in the hands of a handler, until it is settled. The first attempt goes on with the
/// trace of its push; each later one begins its own, with a link there.
pub(crate) fn process(queue: &QueueName, (id, attempt): (MessageId, u64), header: &Header) -> Span {
    let span = tracing::info_span!(
        target: "redeliver",
        parent: None,
        "process",
        otel.name = %format_args!("process {queue}"),
        otel.kind = "consumer",
        messaging.system = SYSTEM,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = %queue,
        messaging.message.id = %id,
        redeliver.attempt = attempt,
        redeliver.outcome = field::Empty,
        otel.status_code = field::Empty,
    );
    if !span.is_disabled() {
        carried::follow(&span, attempt, &header.headers);
    }
    span
}

/// Notes what the handler answered; a failure marks the span as failed.
pub(crate) fn answered(span: &Span, outcome: &Outcome) {
    let (word, is_failure) = match outcome {
        Outcome::Ack => ("ack", false),
        Outcome::Release { .. } => ("release", false),
        Outcome::Retry { .. } => ("retry", true),
        Outcome::Bury { .. } => ("bury", true),
    };
    span.record("redeliver.outcome", word);
    if is_failure {
        failed(span);
    }
}

/// Lets a message carry the trace of its push, unless its user gave it one.
pub(crate) fn carry(span: &Span, header: &mut Header) {
    carried::carry(span, header);
}

#[cfg(not(feature = "otel"))]
mod carried {
    use super::{BTreeMap, Header, Span};

    pub(super) fn carry(_: &Span, _: &mut Header) {}

    pub(super) fn follow(_: &Span, _: u64, _: &BTreeMap<String, String>) {}
}

/// By the propagator that the application has installed; of what that writes only the two headers of
/// W3C's Trace Context travel.
#[cfg(feature = "otel")]
mod carried {
    use std::collections::HashMap;

    use opentelemetry::global::get_text_map_propagator;
    use opentelemetry::trace::TraceContextExt as _;
    use opentelemetry::{Context, trace::SpanContext};
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    use super::{BTreeMap, Header, Span};
    use crate::message::MAX_HEADER;

    const PARENT: &str = "traceparent";
    const STATE: &str = "tracestate";
    /// What both headers take at most: 55 bytes, and the 512 that everybody has to propagate.
    const MAX_CARRIED: usize = 640;

    pub(super) fn carry(span: &Span, header: &mut Header) {
        let own =
            |name: &String| [PARENT, STATE].iter().any(|ours| name.eq_ignore_ascii_case(ours));
        if header.headers.keys().any(own) {
            return;
        }
        let mut context = span.context();
        if !context.span().span_context().is_valid() {
            context = Context::current();
        }
        if !context.span().span_context().is_valid() {
            return;
        }
        let mut carried = HashMap::new();
        get_text_map_propagator(|it| it.inject_context(&context, &mut carried));
        carried.retain(|name, value| (name == PARENT || name == STATE) && !value.is_empty());
        let size: usize = carried.iter().map(|(name, value)| name.len() + value.len()).sum();
        // A trace must not make a message too large, nor bend its bounds.
        if size <= MAX_CARRIED && header.size() + MAX_CARRIED <= MAX_HEADER {
            header.headers.extend(carried);
        }
    }

    pub(super) fn follow(span: &Span, attempt: u64, headers: &BTreeMap<String, String>) {
        let Some(pushed) = pushed(headers) else {
            return;
        };
        if attempt == 1 {
            let parent = Context::new().with_remote_span_context(pushed);
            // Without a layer for OpenTelemetry nobody wants to know.
            span.set_parent(parent).ok();
        } else {
            span.add_link(pushed);
        }
    }

    /// The span that pushed the message; a header that is malformed is none.
    fn pushed(headers: &BTreeMap<String, String>) -> Option<SpanContext> {
        let carried: HashMap<_, _> = [PARENT, STATE]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), headers.get(name)?.clone())))
            .collect();
        if !carried.contains_key(PARENT) {
            return None;
        }
        let context =
            get_text_map_propagator(|it| it.extract_with_context(&Context::new(), &carried));
        Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
    }
}
