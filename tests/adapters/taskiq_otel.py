"""taskiq's own OpenTelemetryMiddleware beside ours, whichever is first; prints the events and the spans."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from taskiq import InMemoryBroker
from taskiq.middlewares.opentelemetry_middleware import OpenTelemetryMiddleware

import clues
from clues.adapters.taskiq import CluesMiddleware, install
from clues.publishers.otlp_propagator import TraceContext
from clues.testing import RecordingPublisher

publisher = RecordingPublisher()
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)


async def story(*middlewares: Any) -> dict[str, Any]:
    broker = InMemoryBroker().with_middlewares(*middlewares)
    install(broker)

    @broker.task(task_name="traces")
    async def traces() -> None:
        with trace.get_tracer("job").start_as_current_span("within"):
            pass

    publisher.events.clear()
    exporter.clear()
    await traces.kiq()
    await broker.wait_all()
    spans = exporter.get_finished_spans()
    return {
        "events": [json.loads(event.line) for event in publisher.events],
        "spans": [
            [span.name, f"{span.context.trace_id:032x}", span.parent and f"{span.parent.span_id:016x}",
             f"{span.context.span_id:016x}"]
            for span in spans
        ],
    }  # fmt: skip


async def main() -> None:
    clues.configure(publisher, propagator=TraceContext())
    told = {
        "ours first": await story(CluesMiddleware(), OpenTelemetryMiddleware()),
        "ours last": await story(OpenTelemetryMiddleware(), CluesMiddleware()),
        "installed": await story(OpenTelemetryMiddleware()),
        "ours alone": await story(CluesMiddleware()),
    }
    sys.stdout.write(json.dumps(told) + "\n")


asyncio.run(main())
