"""The page's web server: for this machine alone, and nothing but the page's files."""

import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

_HOST = "127.0.0.1"
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
_HEADERS = {
    # The page's own policy (its meta element), and that no other page may show it in a frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "img-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The next server on this port may have another model.
    "Cache-Control": "no-store",
}
_ALLOWED = ("GET", "HEAD")


class PlaygroundServer(ThreadingHTTPServer):
    """Serves files out of memory, on 127.0.0.1.

    Parameters
    ----------
    files : mapping of str to bytes
        The content of each file; ``index.html`` is the page. There is nothing else to be had.
    port : int, default=0
        The port; 0 takes one that is free.

    Attributes
    ----------
    url : str
        The page's address.

    Raises
    ------
    OSError
        If the port is taken.

    Examples
    --------
    >>> from mnist_estimator.playground import PlaygroundServer
    >>> with PlaygroundServer({"index.html": b"<!doctype html>"}) as server:
    ...     print(server.url)  # server.serve_forever() then answers until Ctrl-C
    http://127.0.0.1:.../
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes], port: int = 0) -> None:
        self.files = {f"/{name}": content for name, content in files.items()}
        super().__init__((_HOST, port), _Handler)
        self.url = f"http://{_HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, but nothing for a browser that goes away in the middle of a file.

        Parameters
        ----------
        request : socket.socket
            The connection.
        client_address : tuple of str and int
            Where it comes from.
        """
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: PlaygroundServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a silent connection is kept
    server_version, sys_version = "mnist-estimator", ""

    def parse_request(self) -> bool:
        """Read a request's head; refuse what no page of ours asks for."""
        if not super().parse_request():
            return False
        # A foreign site whose name was made to point at 127.0.0.1 would have its own here.
        if self.headers.get("Host") not in self._own_names():
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.command not in _ALLOWED:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)
        else:
            return True
        return False

    def do_GET(self) -> None:
        """Answer with a file."""
        path = urlsplit(self.path).path
        path = "/index.html" if path == "/" else path
        content = self.server.files.get(path)
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._send(HTTPStatus.OK, _CONTENT_TYPES[PurePosixPath(path).suffix], content)

    do_HEAD = do_GET

    def _own_names(self) -> set[str]:
        return {f"{name}:{self.server.server_port}" for name in (_HOST, "localhost")}

    def _refuse(self, status: HTTPStatus) -> None:
        # What may follow in the body of a request is not read.
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())

    def _send(self, status: HTTPStatus, content_type: str, content: bytes) -> None:
        self.send_response(status)
        headers = {**_HEADERS, "Content-Type": content_type, "Content-Length": str(len(content))}
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_ALLOWED)
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing for a request."""
