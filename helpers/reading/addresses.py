"""What lies at an http(s) address, read with limits on time, size, redirects and where they lead."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from helpers.errors import ImageError

MAX_REDIRECTS = 5
# Some servers refuse whoever does not say what it is.
_AGENT = "pocket-captions/0.1 (a captioning tutorial)"
# Addresses of the old kind, private ones too, as networks of the new kind alone write them.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def fetch(address: str, *, max_bytes: int, timeout: float, allow_local: bool = False) -> bytes:
    """Reads what an address holds.

    Args:
        address: http:// or https://.
        max_bytes: more than this is refused, whatever length the server announces.
        timeout: seconds for everything together: finding the server, its redirects, its answer.
        allow_local: whether the address's own host may lie on this machine or in a private network. A redirect to
            another such host is refused all the same.

    Returns:
        The content.

    Raises:
        ImageError: nothing was read; the message says why. It names the address without its query, user and password,
            which may be secret.
    """
    reading = _Reading(address, max_bytes, time.monotonic() + timeout, allow_local)
    try:
        # Neither looking up a host nor reading headers byte by byte ends by itself.
        return within(timeout, reading.read)
    except Exception as error:
        reading.stop()
        raise ImageError(f"{shown(address)} {_said(error, timeout)}.") from None


def within(seconds: float, step: Callable[[], Any]) -> Any:
    """What a step returns or raises, or TimeoutError when it takes longer; the step itself is then left behind."""
    found: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(step())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return found[0]


class _Refused(Exception):
    """Why an address is not read: the rest of a sentence that begins with it."""


class _Reading:
    """One address, its redirects and its content."""

    def __init__(self, address: str, max_bytes: int, deadline: float, allow_local: bool):
        self.address, self.max_bytes, self.deadline = address, max_bytes, deadline
        self.allowed = _parts(address).hostname if allow_local else None
        self.sockets: list[socket.socket] = []

    def stop(self) -> None:
        """Ends a read that waits."""
        for connection in self.sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed

    def vet(self, address: str, proxied: bool) -> None:
        """Refuses what is no public http(s) address, before anything is connected to."""
        parts = _parts(address)
        if parts.scheme not in ("http", "https"):
            raise _Refused(f"leads to {shown(address)}; only http and https are read, give such an address")
        if not parts.hostname or "@" in parts.netloc:
            raise _Refused("names no host, or a user, which is not sent; check the address")
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            if proxied:  # a proxy may know hosts that this machine does not
                return
            what = f"no host {parts.hostname} is found; check its spelling and the network"
            raise _Refused(f"cannot be read: {what}") from None
        if time.monotonic() > self.deadline:  # looking up a host cannot be stopped; no one waits for it any more
            raise TimeoutError
        for *_, place in found:
            self.vet_place(parts.hostname, place[0])

    def vet_place(self, host: str, place: str) -> None:
        number = ipaddress.ip_address(place.split("%")[0])
        if number in _NAT64:
            number = ipaddress.ip_address(int(number) & 0xFFFF_FFFF)
        number = getattr(number, "ipv4_mapped", None) or getattr(number, "sixtofour", None) or number
        if host != self.allowed and (not number.is_global or number.is_multicast):
            raise _Refused(
                f"lies on this machine or in a private network ({host}), which is not read; "
                "if you mean it, say load_image(…, allow_local=True)"
            )

    def read(self) -> bytes:
        if _parts(self.address).scheme not in ("http", "https"):  # urllib would read files, too
            raise _Refused("is no http or https address; give one, or a path")
        request = urllib.request.Request(_quoted(self.address), headers={"User-Agent": _AGENT})
        opener = urllib.request.build_opener(_Redirects(self), _Guards(self))
        with opener.open(request, timeout=max(0.1, self.deadline - time.monotonic())) as answer:
            if (answer.length or 0) > self.max_bytes:
                raise _Refused(f"has {answer.length:,} bytes; the limit is {self.max_bytes:,}; make it smaller")
            content = bytearray()
            while part := answer.read1(65_536):
                content += part
                if len(content) > self.max_bytes:
                    raise _Refused(f"has more than {self.max_bytes:,} bytes, the limit; make it smaller")
                if time.monotonic() > self.deadline:
                    raise TimeoutError
            if answer.length:
                raise _Refused(f"broke off {answer.length:,} bytes before its end; try again")
        return bytes(content)


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS

    def __init__(self, reading: _Reading):
        self.reading = reading

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self.reading.vet(newurl, _proxied(req))
        fp.close()  # or urllib reads the redirect's own content, however long
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _guarded(kind: type[http.client.HTTPConnection], reading: _Reading, request: Any) -> Any:
    """A connection class that looks where it arrived before it sends: a name may lead elsewhere the second time."""

    def arrive(*args: Any, **kwargs: Any) -> socket.socket:
        connection = socket.create_connection(*args, **kwargs)
        reading.sockets.append(connection)
        if not _proxied(request):
            reading.vet_place(_parts(request.full_url).hostname, connection.getpeername()[0])
        return connection

    class Guarded(kind):
        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self._create_connection = arrive  # which comes before a tunnel or a handshake

        def connect(self) -> None:
            super().connect()
            reading.sockets.append(self.sock)  # another one than arrived, if it is encrypted

    return Guarded


class _Guards(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Looks at each address, the first one and where it redirects to, before it is opened."""

    def __init__(self, reading: _Reading):
        super().__init__()
        self.reading = reading

    def http_open(self, req: Any) -> Any:
        return self._open(http.client.HTTPConnection, req)

    def https_open(self, req: Any) -> Any:
        return self._open(http.client.HTTPSConnection, req)

    def _open(self, kind: type[http.client.HTTPConnection], req: Any) -> Any:
        self.reading.vet(req.full_url, _proxied(req))
        return self.do_open(_guarded(kind, self.reading, req), req)


def _proxied(request: Any) -> bool:
    """Whether a proxy is connected to, which may well lie in a private network; https goes through a tunnel."""
    return request.has_proxy() or bool(request._tunnel_host)


def _parts(address: str) -> Any:
    try:
        parts = urlsplit(address)
        _ = parts.port
        return parts
    except ValueError:  # its text may hold the password
        plain = re.split(r"[?#]", re.sub(r"//.*@", "//", address))[0]
        raise ImageError(f"{plain[:80]} is no address; check its host and port.") from None


def _quoted(address: str) -> str:
    """The address as it is sent: letters that are not ASCII, and spaces, written with percent signs."""
    parts = _parts(address)
    path, query = (quote(text, safe="/%:@!$&'()*+,;=~?-._") for text in (parts.path, parts.query))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def shown(address: str) -> str:
    """The address without what may be secret in it, and of a length that can be read."""
    parts = _parts(address)
    plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return plain if len(plain) <= 200 else plain[:199] + "…"


def _said(error: Exception, timeout: float) -> str:
    """The rest of the sentence about an address."""
    reason = getattr(error, "reason", error)
    if isinstance(error, _Refused) or isinstance(reason, _Refused):
        return str(reason)
    if isinstance(error, urllib.error.HTTPError):
        if 300 <= error.code < 400:
            return f"redirects more than {MAX_REDIRECTS} times, or to what is no http address; check the address"
        return f"answers {error.code} {http.client.responses.get(error.code, '')}; check the address"
    if isinstance(reason, TimeoutError):
        return f"did not answer within {timeout:g} seconds; try again, or download it yourself"
    said = " ".join(str(reason).split()) or type(reason).__name__
    return f"cannot be read: {said[:200].rstrip('.')}; check the address and the network"
