"""OpenTelemetry's own instrumentation of Celery, whose spans go to the file SPANS, a JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class _File(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with Path(os.environ["SPANS"]).open("a") as file:
            file.writelines(json.dumps(json.loads(span.to_json(indent=None))) + "\n" for span in spans)
        return SpanExportResult.SUCCESS


def instrument() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_File()))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()
