"""The other end of OTLP/HTTP: takes the spans that a writer sends, as a collector does."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Seen:
    """A span that arrived; ids in hexadecimal as in logs, times in Unix nanoseconds."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, str | int]

    @property
    def range(self) -> tuple[int, int]:
        """First and last sequence."""
        return int(self.attributes["ingest.first_seq"]), int(self.attributes["ingest.last_seq"])


class Collector:
    """Listens on a free port; ``deaf`` ones refuse every request with 503."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.requests = 0
        self._spans: list[Seen] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                right = self.path == "/v1/traces"
                right = right and self.headers["Content-Type"] == "application/x-protobuf"
                status = 503 if deaf else 200 if right else 400
                if not collector.take(body, keep=status == 200):
                    status = 400
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response_only(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """What ``trace.endpoint`` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def take(self, body: bytes, *, keep: bool) -> bool:
        """Notes a request's spans; False when it holds none."""
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        spans = [
            _seen(_attributes(resource.resource), span)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.requests += 1
            self._spans += spans if keep else []
        return bool(spans)

    def traces(self) -> list[list[Seen]]:
        """The spans by trace, in the order of their starts: a parent before its children."""
        found: dict[str, list[Seen]] = {}
        with self._lock:
            spans = sorted(self._spans, key=lambda span: (span.start_ns, bool(span.parent_id)))
        for span in spans:
            found.setdefault(span.trace_id, []).append(span)
        return list(found.values())

    def batches(self) -> list[Seen]:
        """The spans without a parent, in the order of their ranges."""
        found = [span for trace in self.traces() for span in trace if not span.parent_id]
        return sorted(found, key=lambda span: span.range)


def _seen(resource: dict[str, str | int], span: Any) -> Seen:
    return Seen(
        service=str(resource["service.name"]),
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_attributes(span),
    )


def _attributes(owner: Any) -> dict[str, str | int]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in owner.attributes}
