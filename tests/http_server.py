"""An HTTP server of the standard library, in a thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class GetHandler(BaseHTTPRequestHandler):
    """A handler of GET requests that writes no log; subclasses define ``get``."""

    def get(self) -> None:
        """Send the response to a GET."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Respond: ``http.server`` requires this name."""
        self.get()

    def respond(self, status: int, body: bytes, content_type: str) -> None:
        """Send a response with a body."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@contextmanager
def serving(handler: Callable[..., Any]) -> Iterator[ThreadingHTTPServer]:
    """Serve HTTP at a free port of 127.0.0.1 until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def url_of(server: ThreadingHTTPServer) -> str:
    """Return the URL of a server."""
    return f"http://127.0.0.1:{server.server_port}"
