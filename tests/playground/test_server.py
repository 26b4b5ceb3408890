"""The server gives the page's files and nothing else, to nobody but this machine's browsers."""

import re
import socket
from http.client import HTTPConnection

import pytest

from mnist_estimator.playground import PlaygroundServer

FILES = {
    "index.html": b"<!doctype html>",
    "main.js": b"1",
    "a.mjs": b"2",
    "style.css": b"3",
    "a.wasm": b"\0asm",
    "model.onnx": b"\x08",
    "page.json": b"{}",
    "icon.svg": b"<svg/>",
}


@pytest.fixture(scope="module")
def server(serve):
    with serve(FILES) as running:
        yield running


@pytest.fixture
def ask(server):
    """``ask("GET", "/")`` sends one request; it returns the answer with its `body`."""

    def asked(method, path, headers=None, body=None):
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        connection.putrequest(method, path, skip_host=headers is not None and "Host" in headers)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.body = answer.read()
        connection.close()
        return answer

    return asked


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html?a=1", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/a.mjs", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/a.wasm", "application/wasm"),
        ("/model.onnx", "application/octet-stream"),
        ("/page.json", "application/json"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
def test_files_with_their_types(ask, path, content_type):
    answer = ask("GET", path)
    name = path.strip("/").partition("?")[0] or "index.html"
    assert (answer.status, answer.body) == (200, FILES[name])
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    head = ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(FILES[name]))


@pytest.mark.parametrize(
    "path",
    [
        "/pyproject.toml",
        "/../../pyproject.toml",
        "/..%2f..%2fpyproject.toml",
        "/%2e%2e/main.js",
        "/./main.js",
        "/page/",
        "/main.js/",
        "/..\\main.js",
        "/%00",
        "*",
    ],
)
def test_nothing_else(ask, path):
    answer = ask("GET", path)
    assert (answer.status, answer.body) == (404, b"Not Found\n")
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_nothing_is_taken(ask, method):
    answer = ask(method, "/", {"Content-Length": "3"}, b"abc")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", ""])
def test_other_names_for_this_machine_are_refused(ask, host):
    assert ask("GET", "/", {"Host": host}).status == 421


def test_what_is_no_request(server):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/one\r\n\r\n")
        assert b"Bad request version" in connection.recv(10_000)


def test_its_own_names(ask, server):
    assert ask("GET", "/", {"Host": f"localhost:{server.server_port}"}).status == 200


def test_the_policy_is_the_pages_own(ask, page_folder):
    policy = ask("GET", "/").headers["Content-Security-Policy"]
    page = (page_folder / "index.html").read_text()
    own = re.search(r'"Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy == f"{own}; frame-ancestors 'none'"
    assert "'unsafe-inline'" not in policy
    assert "'unsafe-eval'" not in policy
    assert "http" not in policy


def test_it_tells_no_versions_and_is_silent(ask, capfd):
    assert "Python" not in str(ask("GET", "/").headers)
    assert ask("GET", "/missing").status == 404
    assert capfd.readouterr() == ("", "")


def test_a_browser_that_goes_away(server, capfd, ask):
    host = f"127.0.0.1:{server.server_port}"
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        # An abortive close, in the middle of the request.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n".encode())
    assert ask("GET", "/").status == 200
    assert capfd.readouterr().err == ""


def test_only_on_this_machine(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_port_in_use(server):
    with pytest.raises(OSError, match="in use"):
        PlaygroundServer(FILES, server.server_port)


def test_mistakes_of_ours_are_printed(server, capsys):
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        server.handle_error(None, ("127.0.0.1", 1))
    assert "ZeroDivisionError" in capsys.readouterr().err
