"""Addresses: a server of the tests' own that does everything wrong. See conftest.py: nothing else can be reached."""

import asyncio
import errno
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from contextlib import contextmanager
from types import SimpleNamespace

import aiohttp
import pytest
from PIL import Image

from helpers.notebook import serve_folder
from helpers.reading import addresses as fetch
from helpers.reading import pictures
from helpers.reading.pictures import MAX_BYTES, load_image
from tests.toolbox import encoded, refusal

PICTURE = encoded(Image.new("RGB", (12, 8), (200, 30, 40)))
OK = b"HTTP/1.1 200 OK\r\n"
SECRETS = ("alice", "hunter2", "token", "abc123")


@contextmanager
def server(answer, wrap=lambda connection: connection):
    """A server on this machine; `answer(connection, path)` says what it does with each request. Gives host:port."""
    asked, ended = [], threading.Event()

    def serve(connection):
        try:
            with wrap(connection) as connection:
                request = b""
                while b"\r\n\r\n" not in request and (part := connection.recv(4096)):
                    request += part
                if request:
                    asked.append(request.split()[1].decode(errors="replace"))
                    answer(connection, asked[-1])
        except OSError:
            return  # who asked has gone

    def accept():
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}", asked
        finally:
            ended.set()
            thread.join()


def says(*parts):
    def answer(connection, path):
        for part in parts:
            connection.sendall(part)

    return answer


def whole(content=PICTURE, kind="image/png"):
    return OK + f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def load_locally(address):
    return load_image(address, allow_local=True)


def refused(address, *named):
    return refusal(address, *named, load=load_locally)


# What is read


def test_an_address_is_read(tmp_path):
    (tmp_path / "a picture é.png").write_bytes(PICTURE)
    (tmp_path / "text.png").write_text("no picture")
    with serve_folder(tmp_path) as address:
        for name in ("a picture é.png", "a%20picture%20%C3%A9.png", "a picture é.png?token=abc 123#part"):
            assert load_locally(f"{address}/{name}").getpixel((0, 0)) == (200, 30, 40)
        refused(f"{address}/absent.png", "absent.png", "404")
        refused(f"{address}/text.png", "text.png", "no picture")
    refused(f"{address}/text.png", "text.png")


def test_an_address_is_read_where_an_event_loop_runs_as_in_a_notebook():
    async def cell():
        return load_locally(f"http://{host}/a")

    with server(says(whole())) as (host, _):
        assert asyncio.run(cell()).size == (12, 8)


def test_a_host_in_other_letters_is_looked_up_and_a_query_is_sent_as_it_is(monkeypatch):
    hosts = []

    def found(host, port, *_, **__):
        hosts.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with server(says(whole())) as (host, asked):
        load_locally(f"http://Bücher.example:{host.rpartition(':')[2]}/é%2Fa?signature=a%2Fb%20+%3D")
    assert set(hosts) == {"xn--bcher-kva.example"}
    assert asked == ["/%C3%A9%2Fa?signature=a%2Fb%20+%3D"]


def test_content_is_not_believed_from_its_header():
    with server(says(whole(kind="text/html"))) as (host, _):
        assert load_locally(f"http://{host}/a").size == (12, 8)
    with server(says(whole(b"<!doctype html><p>Hello", "image/png"))) as (host, _):
        refused(f"http://{host}/a.png", f"{host}/a.png", "web page")


def test_what_announces_no_length_is_read():
    parts = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (PICTURE[:40], PICTURE[40:], b""))
    for start, content in ((b"", PICTURE), (b"Transfer-Encoding: chunked\r\n", parts)):
        with server(says(OK, start, b"\r\n", content)) as (host, _):
            assert load_locally(f"http://{host}/a").size == (12, 8)


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
def test_what_a_server_packs_unasked_is_unpacked(coding, pack):
    with server(says(OK, f"Content-Encoding: {coding}\r\n\r\n".encode(), pack(PICTURE))) as (host, _):
        assert load_locally(f"http://{host}/a").size == (12, 8)


# Answers that are none


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ([], "before its end"),
        ([b"no http\r\n\r\n"], "cannot be read"),
        ([OK, b"Content-Length: 5000\r\n\r\n", PICTURE], "before its end"),
        ([OK, b"Content-Length: 40\r\n\r\n", PICTURE[:40]], "damaged"),
        ([OK, b"Transfer-Encoding: chunked\r\n\r\nff\r\nshort"], "before its end"),
        ([OK, b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"], "cannot be read"),
        ([OK, b"Content-Encoding: gzip\r\n\r\n", PICTURE], "packed wrongly"),
        ([OK, b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(MAX_BYTES + 1))], "the limit"),
        ([OK, b"Content-Encoding: br\r\n\r\n", PICTURE], "packed by its server (br)"),
        ([OK, b"Content-Length: 0\r\n\r\n"], "no bytes at all"),
        ([OK, b"Content-Length: -5\r\n\r\n"], "cannot be read"),
        ([OK, b"Content-Length: 99999999999\r\n\r\n"], "99,999,999,999"),
        ([OK, b"A: b\r\n" * 200], "cannot be read"),
        ([OK, b"A: " + b"b" * 100_000], "cannot be read"),
        ([b"HTTP/1.1 404 token=abc123\r\n\r\n"], "404 Not Found"),
        ([b"HTTP/1.1 500 No\r\n\r\n"], "500"),
        ([b"HTTP/1.1 999 \x1b[31m" + b"x" * 5000 + b"\r\n\r\n"], "999"),
        ([b"HTTP/1.1 302 Found\r\n\r\n"], "302"),
    ],
)
def test_a_bad_answer_is_named_and_no_secret_is(parts, named):
    with server(says(*parts)) as (host, _):
        said = refused(f"http://{host}/a.png?token=abc123", f"http://{host}/a.png", named)
    assert not any(secret in said for secret in SECRETS)
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "address",
    ["http://alice:hunter2@127.0.0.1:9/a.png?token=abc123#x", "http://alice:hunter2@127.0.0.1:port/a.png?token=abc123",
     "http://alice:hun/ter2@127.0.0.1/a.png", "http://alice:hunter2@[/a.png?token=abc123",
     "http://alice:hunter2@\u2100.com/a.png", "ftp://alice:hunter2@127.0.0.1/a.png?token=abc123"],
)  # fmt: skip
def test_a_secret_in_an_address_is_not_shown(address):
    said = refused(address, "a.png" if "hun/" not in address else "127.0.0.1/")
    assert not any(secret in said for secret in SECRETS)


@pytest.mark.parametrize("address", ["http://", "https://in valid/a.png", "http://127.0.0.1:port/a.png", "http://[/a"])
def test_an_address_that_is_none_is_named(address):
    refused(address, address)


@pytest.mark.parametrize("scheme", ["ftp", "gopher", "javascript"])
def test_only_http_and_https_are_read(tmp_path, scheme):
    (tmp_path / "a.png").write_bytes(PICTURE)
    refused(f"{scheme}://{tmp_path}/a.png", "http")
    refused(f"{scheme}://localhost{tmp_path}/a.png", "http")


# Limits


def drip(connection, text=b"x" * 200):
    for letter in text:
        connection.sendall(bytes([letter]))
        time.sleep(0.05)


def stall_in_status(connection, path):
    drip(connection, OK)


def stall_in_headers(connection, path):
    connection.sendall(OK + b"A: ")
    drip(connection)


def stall_in_content(connection, path):
    connection.sendall(OK + b"Content-Length: 5000\r\n\r\n")
    drip(connection)


def go_on(start):
    def answer(connection, path):
        connection.sendall(start)
        while True:
            connection.sendall(bytes(65_536))
            time.sleep(0.001)

    return answer


def stay(connection, path):
    connection.recv(1)


def again(connection, path):
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
    time.sleep(0.02)
    again(connection, path)


@pytest.mark.parametrize("answer", [stay, stall_in_status, stall_in_headers, stall_in_content, again])
def test_a_server_that_stalls_is_left_in_time(monkeypatch, answer):
    monkeypatch.setattr(pictures, "TIMEOUT", 0.5)
    with server(answer) as (host, _):
        before = set(threading.enumerate())
        start = time.perf_counter()
        refused(f"http://{host}/a.png", f"{host}/a.png", "0.5 seconds")
        assert time.perf_counter() - start < 1.5
        assert not still_running(before)  # neither who asks nor, because that one has gone, who answers


def still_running(before):
    """Threads that were not there before and do not end within two seconds."""
    deadline = time.monotonic() + 2
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def test_a_server_that_never_ends_is_left(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 1_000_000)
    for start in (OK + b"\r\n", OK + b"Content-Length: 2000000\r\n\r\n"):
        with server(go_on(start)) as (host, _):
            refused(f"http://{host}/a.png", "1,000,000")


def test_the_content_of_a_redirect_is_not_read():
    def answer(connection, path):
        if path == "/b":
            connection.sendall(whole())
        else:
            go_on(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")(connection, path)

    with server(answer) as (host, _):
        start = time.perf_counter()
        assert load_locally(f"http://{host}/a").size == (12, 8)
        assert time.perf_counter() - start < 2


def test_looking_up_a_host_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(pictures, "TIMEOUT", 0.3)
    ended, before, connected = threading.Event(), set(threading.enumerate()), connections(monkeypatch)

    def slow(*_, **__):
        ended.wait(5)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    start = time.perf_counter()
    refused("http://slow.example/a.png", "slow.example", "0.3 seconds")
    assert time.perf_counter() - start < 1.3
    ended.set()
    assert not still_running(before)
    assert not connected


@pytest.mark.parametrize(
    ("status", "named"),
    [(404, "check the address"), (410, "check the address"), (400, "check the address"), (429, "later"), (408, "later"),
     (500, "later"), (502, "later"), (503, "later"), (504, "later"), (520, "later"), (401, "the server refuses"),
     (403, "the server refuses"), (407, "the server refuses"), (451, "the server refuses")],
)  # fmt: skip
def test_what_to_do_follows_from_the_answer(status, named):
    with server(says(f"HTTP/1.1 {status} X\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n".encode())) as (host, _):
        said = refused(f"http://{host}/a.png", f"answers {status}", named)
    assert ("check the address" in said) == (named == "check the address")
    assert ("after 30 seconds" in said) == (named == "later")


@pytest.mark.parametrize(
    ("error", "named"),
    [(socket.gaierror(socket.EAI_AGAIN, "for now"), "connect to a network"),
     (socket.gaierror(socket.EAI_NONAME, "none"), "spelling")],
)  # fmt: skip
def test_a_host_that_is_not_found_is_told_from_a_network_that_is_not_there(monkeypatch, error, named):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    refusal("http://pictures.example/a.png", "pictures.example", named)


def untrusted(code):
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "for some reason"
    return error


def test_what_to_do_follows_from_what_failed(monkeypatch):
    key = SimpleNamespace(host="x", port=1, ssl=True, is_ssl=True)
    for error, named in (
        (aiohttp.ClientConnectorError(key, OSError(errno.ENETUNREACH, "away")), "away; connect to a network"),
        (aiohttp.ClientConnectorCertificateError(key, untrusted(10)), "clock"),
        (aiohttp.ClientConnectorCertificateError(key, untrusted(62)), "another"),
        (aiohttp.ClientConnectorCertificateError(key, untrusted(18)), "network"),
        (aiohttp.ClientProxyConnectionError(key, OSError(errno.ECONNREFUSED, "no")), "HTTPS_PROXY"),
        (aiohttp.ClientHttpProxyError(SimpleNamespace(real_url="x"), (), status=407), "proxy answers 407"),
        (OSError(errno.ECONNRESET, "cut"), "try again"),
        (aiohttp.ServerDisconnectedError(), "try again"),
    ):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(aiohttp.ClientSession, "get", fail)
        assert "check the address and" not in refused("http://127.0.0.1/a.png", "127.0.0.1", named)


def test_a_port_at_which_nothing_listens_is_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    refused(f"http://127.0.0.1:{port}/a.png", "port")


# Redirects


def redirecting(place):
    return says(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())


def steps(number):
    """Redirects that many times and gives a picture then."""

    def answer(connection, path):
        left = int(path[1:])
        redirecting(f"/{left - 1}")(connection, path) if left else connection.sendall(whole())

    return answer


def test_five_redirects_are_followed_and_no_more():
    with server(steps(5)) as (host, asked):
        assert load_locally(f"http://{host}/5").size == (12, 8)
        assert len(asked) == 6
        refused(f"http://{host}/6", "5 times")
        assert len(asked) == 12
    with server(redirecting("/a")) as (host, asked):
        refused(f"http://{host}/a", f"{host}/a", "redirects")
        assert len(asked) <= fetch.MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("file:///etc/hosts", "http"),
        ("ftp://127.0.0.1/a.png", "http"),
        ("http://10.0.0.1/a.png", "private"),
        ("http://169.254.169.254/latest?token=abc123", "private"),
        ("http://alice:hunter2@8.8.8.8/a.png", "user"),
        ("//192.168.0.1/a.png", "private"),
        ("http://localhost:{port}/a.png", "private"),
        ("http://[::1]:{port}/a.png", "private"),
        ("http://0:{port}/a.png", "private"),
    ],
)
def test_a_redirect_leads_to_no_file_and_no_private_address(place, named):
    port = [""]
    with server(lambda connection, path: redirecting(place.format(port=port[0]))(connection, path)) as (host, asked):
        port[0] = host.rpartition(":")[2]
        said = refused(f"http://{host}/a.png?token=abc123", f"{host}/a.png", named)
        assert len(asked) == 1
    assert not any(secret in said for secret in ("hunter2", "abc123"))


# Private addresses

PRIVATE = [
    "127.0.0.1", "localhost", "LOCALHOST", "[::1]", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254",
    "0.0.0.0", "0", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]", "[::]", "[fe80::1]", "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "100.64.0.1",
    "224.0.0.1", "[::ffff:224.0.0.1]", "255.255.255.255",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_not_read(host, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    refusal(f"http://{host}:1/a.png", "a.png", "allow_local")


def connections(monkeypatch):
    """The places that are connected to from now on, none of which answers."""
    places = []

    def connect(_, place):
        places.append(place[0])
        raise OSError("nobody is there")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return places


def resolves(monkeypatch, *places):
    """Every host is found at the first place, then at the next, and at last always at the last."""
    left = list(places)

    def found(host, port, *_, **__):
        place = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port or 80))]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_a_name_of_a_private_address_is_not_read(monkeypatch):
    resolves(monkeypatch, "192.168.1.7")
    refusal("http://pictures.example/a.png", "pictures.example", "private")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_turns_private_when_it_is_connected_to_is_not_connected_to(monkeypatch, scheme):
    connected = connections(monkeypatch)
    resolves(monkeypatch, "93.184.215.14", "127.0.0.1")
    refusal(f"{scheme}://pictures.example/a.png", "pictures.example")
    assert "127.0.0.1" not in connected


def test_a_second_place_of_a_name_is_tried(monkeypatch):
    with server(says(whole())) as (host, _):
        port = int(host.rpartition(":")[2])
        places = [("127.0.0.2", port), ("127.0.0.1", port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert load_locally(f"http://pictures.example:{port}/a.png").size == (12, 8)


def test_a_proxy_may_lie_in_a_private_network(monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    with server(says(whole())) as (host, asked):
        monkeypatch.setenv("http_proxy", host.replace("127.0.0.1", "localhost"))
        assert load_image("http://pictures.invalid/a.png").size == (12, 8)
        assert asked == ["http://pictures.invalid/a.png"]
        refusal("http://10.0.0.1/a.png", "private")


# https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that nobody has signed but itself."""
    if not shutil.which("openssl"):
        pytest.skip("Python cannot make certificates by itself, and there is no openssl here")
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder


def test_https_is_read_and_certificates_are_looked_at(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with server(says(whole()), lambda connection: context.wrap_socket(connection, server_side=True)) as (host, asked):
        refused(f"https://{host}/a.png", f"{host}/a.png", "certificate")
        assert not asked
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert load_locally(f"https://{host}/a.png").size == (12, 8)
        with server(redirecting(f"https://{host}/a.png")) as (plain, _):
            assert load_locally(f"http://{plain}/a.png").size == (12, 8)


def test_a_handshake_that_stalls_is_left_in_time(monkeypatch):
    monkeypatch.setattr(pictures, "TIMEOUT", 0.5)
    with server(stay, lambda connection: connection) as (host, _):
        start = time.perf_counter()
        refused(f"https://{host}/a.png", "0.5 seconds")
        assert time.perf_counter() - start < 1.5
