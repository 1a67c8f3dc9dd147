"""A receiver of OTLP over HTTP that decodes with the official protobufs, and prints a line of JSON for each request.

What it answers stands in the file that the first argument names, and may change at any time. `down`: nobody listens.
With a certificate and its key as further arguments it speaks https."""

import json
import os
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

MODE = sys.argv[1]
PRINTING = threading.Lock()


def mode():
    with open(MODE) as file:
        return file.read()


def tell(line):
    with PRINTING:
        print(json.dumps(line), flush=True)


def value(value):
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def attributes(of):
    names = [one.key for one in of]
    assert len(set(names)) == len(names), names
    return {one.key: value(one.value) for one in of}


def points(metric):
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    for point in data.data_points:
        line = {
            "name": metric.name,
            "unit": metric.unit,
            "kind": kind,
            "temporality": getattr(data, "aggregation_temporality", 0),
            "is_monotonic": getattr(data, "is_monotonic", None),
            "start": point.start_time_unix_nano,
            "time": point.time_unix_nano,
            "attributes": attributes(point.attributes),
        }
        if kind == "histogram":
            buckets, bounds = list(point.bucket_counts), list(point.explicit_bounds)
            assert len(buckets) == len(bounds) + 1 and sum(buckets) == point.count, point
            line |= {"count": point.count, "sum": point.sum, "buckets": buckets, "bounds": bounds}
        else:
            line["value"] = getattr(point, point.WhichOneof("value"))
        yield line


def metrics(body):
    request = ExportMetricsServiceRequest.FromString(body)
    [of_host] = request.resource_metrics
    [scope] = of_host.scope_metrics
    names = [metric.name for metric in scope.metrics]
    assert len(set(names)) == len(names), names
    return {
        "resource": attributes(of_host.resource.attributes),
        "scope": scope.scope.name,
        "points": [point for metric in scope.metrics for point in points(metric)],
    }


def logs(body):
    request = ExportLogsServiceRequest.FromString(body)
    [of_host] = request.resource_logs
    [scope] = of_host.scope_logs
    records = [
        {
            "time": record.time_unix_nano,
            "observed": record.observed_time_unix_nano,
            "severity": record.severity_text,
            "severity_number": record.severity_number,
            "body": record.body.string_value,
            "event": record.event_name,
            "attributes": attributes(record.attributes),
        }
        for record in scope.log_records
    ]
    return {"resource": attributes(of_host.resource.attributes), "records": records}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.server.open.add(self.connection)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = mode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        line = {"path": self.path, "answer": answer, "headers": headers}
        of_logs = self.path.endswith("/v1/logs")
        tell(line | (logs(body) if of_logs else metrics(body)))
        message = (ExportLogsServiceResponse if of_logs else ExportMetricsServiceResponse)()
        if answer == "ok":
            self.say(200, message.SerializeToString())
        elif answer == "partial":
            partial = message.partial_success
            partial.error_message = "not \x1b[31m these"
            if of_logs:
                partial.rejected_log_records = 1
            else:
                partial.rejected_data_points = 3
            self.say(200, message.SerializeToString())
        elif answer == "nonsense":
            self.say(200, b"\xff" * 100)
        elif answer == "garbage":
            self.wfile.write(b"\x16\x03\x01 no answer\r\n\r\n")
            self.close_connection = True
        elif answer == "never":
            self.wait()
        elif answer == "endless":
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 40))
            self.end_headers()
            self.wait()
        elif answer == "long":
            self.say(400, b"x" * (1 << 20))
        elif answer.startswith("503 "):
            self.say(503, b"", {"Retry-After": answer.split()[1]})
        else:
            self.say(int(answer), b"no \x1b[31m reason")

    def wait(self):
        self.close_connection = True
        while mode() in ("never", "endless"):
            time.sleep(0.01)

    def say(self, status, body, headers={}):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address):
        self.open = set()
        super().__init__(address, Handler)

    def get_request(self):
        connection, address = super().get_request()
        if len(sys.argv) > 2:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*sys.argv[2:])
            connection = context.wrap_socket(connection, server_side=True)
        return connection, address

    def handle_error(self, request, address):
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            tell({"error": repr(error)})

    def end(self):
        self.shutdown()
        self.server_close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


# While nobody listens, nobody else gets the port.
keeper = socket.socket()
keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
keeper.bind(("127.0.0.1", 0))
address = keeper.getsockname()
server, before = None, None
tell({"port": address[1]})
while os.getppid() != 1:
    now = mode()
    if now != before and now:
        if now == "down" and server:
            server.end()
            server = None
        elif now != "down" and not server:
            server = Server(address)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        tell({"mode": now})
        before = now
    time.sleep(0.01)
