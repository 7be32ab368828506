"""Celery as in the folder beside, under OpenTelemetry's own instrumentation, with the SDK as its documents set it up.

Spans go to a collector where there is one; else they are dropped, so that encoding and sending them costs nothing.
"""

import os

import tally
from celery import Celery
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult


class Nowhere(SpanExporter):
    def export(self, spans):  # noqa: ARG002 - the interface
        return SpanExportResult.SUCCESS


provider = TracerProvider()
collector = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter() if collector else Nowhere()))
trace.set_tracer_provider(provider)
CeleryInstrumentor().instrument()

app = Celery("bench", broker=os.environ["REDIS_URL"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task(name="noop")
def noop(number, text):
    tally.count()
