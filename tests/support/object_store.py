"""A server of objects in memory, as S3 answers for them."""

import http.server
import re
import threading
from contextlib import contextmanager


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        content = self.server.objects.get(self.path.partition("?")[0])
        if content is None:
            self._answer(404, b"")
        elif asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            size = len(content)
            first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
            last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
            self._answer(206, content[first : last + 1], f"bytes {first}-{last}/{size}")
        else:
            self._answer(200, content)

    def _answer(self, code, content, part=None):
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT")
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def served(objects, monkeypatch):
    """Serve objects, bytes by path, as S3 does; polars is told where and with what keys."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.objects = objects
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("REGION", "a")):
            monkeypatch.setenv(f"AWS_{name}", value)
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
