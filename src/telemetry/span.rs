//! Spans: one for each request, and below it one for each step that takes time. Their names and attributes are made here
//! and are all there is: nothing of the log, of a library, of an argument or of an error gets into a trace.
//!
//! The tracer travels in the context of the request. Work outside of a request, and all work while traces are off or this
//! one is not sampled, has no span.

use std::collections::HashMap;

use futures_util::FutureExt as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{FutureExt as _, SpanBuilder, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

/// Begins the spans of requests.
#[derive(Clone)]
pub struct Tracer(pub(super) SdkTracer);

/// What is known of a request at its start.
pub struct RequestStart<'a> {
    /// A method that HTTP knows, or `_OTHER`.
    pub method: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The SID that its answer names.
    pub request_sid: &'a str,
    /// The trace and span that the caller says it belongs to, and whether that trace is sampled.
    pub traceparent: Option<&'a str>,
}

/// The span of a request.
pub struct RequestSpan {
    method: &'static str,
    context: Context,
}

impl Tracer {
    /// Begins the span of a request.
    pub fn begin(&self, request: &RequestStart<'_>) -> RequestSpan {
        let parent = request.traceparent.map_or_else(Context::new, caller_of);
        let span = SpanBuilder::from_name(request.method)
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", request.method),
                KeyValue::new("url.scheme", request.scheme),
                KeyValue::new("pushvault.request_sid", request.request_sid.to_owned()),
            ])
            .start_with_context(&self.0, &parent);
        RequestSpan {
            method: request.method,
            context: parent.with_value(self.0.clone()).with_span(span),
        }
    }
}

/// The caller's span. What else the caller says of its trace (`tracestate`) is text of anyone's choice, and is dropped.
fn caller_of(traceparent: &str) -> Context {
    let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}

impl RequestSpan {
    /// Its trace, if that is sent.
    pub fn trace_id(&self) -> Option<String> {
        let span = self.context.span();
        let span = span.span_context();
        span.is_sampled().then(|| span.trace_id().to_string())
    }

    /// Work that belongs to the request.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.with_context(self.context.clone())
    }

    /// Ends it with the route's template and the status of the answer.
    pub fn end(&self, route: Option<&str>, status: u16) {
        let span = self.context.span();
        let method = if self.method == "_OTHER" { "HTTP" } else { self.method };
        match route {
            Some(route) => {
                span.update_name(format!("{method} {route}"));
                span.set_attribute(KeyValue::new("http.route", route.to_owned()));
            }
            None => span.update_name(method),
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Work that has a span of its own below the present one.
pub trait Traced: Future + Sized {
    /// A step of the vault's own.
    fn step(self, name: &'static str) -> impl Future<Output = Self::Output> {
        let step = Step::begin(|| SpanBuilder::from_name(name));
        let context = step.context();
        self.map(move |output| {
            step.end(false);
            output
        })
        .with_context(context)
    }

    /// A round trip to the database.
    fn statement<T, E>(self, name: &'static str) -> impl Future<Output = Result<T, E>>
    where
        Self: Future<Output = Result<T, E>>,
    {
        let step = Step::begin(|| {
            SpanBuilder::from_name(name)
                .with_kind(SpanKind::Client)
                .with_attributes([KeyValue::new("db.system.name", "postgresql")])
        });
        let context = step.context();
        self.map(move |result| {
            step.end(result.is_err());
            result
        })
        .with_context(context)
    }
}

impl<F: Future> Traced for F {}

/// Runs a step that waits for nothing, with a span of its own.
pub fn step<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let step = Step::begin(|| SpanBuilder::from_name(name));
    let output = work();
    step.end(false);
    output
}

/// Takes the present span along to wherever the work is run.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    work.with_current_context()
}

/// Notes something on the present span. Neither part can have come from outside.
pub fn note(key: &'static str, value: &'static str) {
    Context::map_current(|context| context.span().set_attribute(KeyValue::new(key, value)));
}

/// The span of a step, where it has one.
struct Step(Option<Context>);

impl Step {
    fn begin(span: impl FnOnce() -> SpanBuilder) -> Self {
        let parent = Context::current();
        let Some(tracer) = parent.get::<SdkTracer>().filter(|_| parent.span().is_recording()) else {
            return Self(None);
        };
        let span = span().start_with_context(tracer, &parent);
        Self(Some(parent.with_span(span)))
    }

    fn context(&self) -> Context {
        self.0.clone().unwrap_or_else(Context::current)
    }

    fn end(&self, has_failed: bool) {
        if let Some(context) = &self.0 {
            let span = context.span();
            if has_failed {
                span.set_status(Status::error(""));
            }
            span.end();
        }
    }
}
