"""Reading http(s) addresses (URLs): limits on time, size and redirects, and no private networks."""

import asyncio
import errno
import ipaddress
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from http.client import responses
from typing import Any
from urllib.parse import quote, urljoin
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from helpers.errors import ImageError

MAX_REDIRECTS = 5
_REFUSED = "the server refuses it: log in with a browser, and download it yourself"
_LATER = "try again later, and more slowly"
_ANSWERS = dict.fromkeys((401, 402, 403, 407, 451), _REFUSED) | dict.fromkeys((408, 425, 429), _LATER)
_NETWORK = "connect to a network, or try again later"
_CAUSES = {
    **dict.fromkeys((socket.EAI_AGAIN, errno.ENETUNREACH, errno.EHOSTUNREACH), _NETWORK),
    errno.ECONNREFUSED: "nothing answers there; check its port, or try again later",
    errno.ECONNRESET: "try again",
}
_CLOCK = "check the clock of this machine, or download it yourself"
_CERTIFICATES = {9: _CLOCK, 10: _CLOCK, 62: "it is another host's; check the address"}  # by OpenSSL's numbers
# Some servers refuse whoever does not say what it is; a compressed answer could be larger than what is read of it.
_HEADERS = {"User-Agent": "pocket-captions (a captioning tutorial)", "Accept-Encoding": "identity"}
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

    Raises:
        ImageError: nothing was read; the message says why. It names the address without its query, user and password,
            which may be secret.
    """
    try:
        # In a thread: looking up a host does not end by itself, and a notebook runs an event loop already.
        return within(timeout, lambda: asyncio.run(_read(address, max_bytes, timeout, allow_local)))
    except ImageError:
        raise
    except Exception as error:  # its whole text may repeat the query, or what the server sent
        cause = getattr(error, "os_error", error)  # which aiohttp puts into its own
        what = getattr(cause, "strerror", None) or type(error).__name__
        sealed = getattr(error, "certificate_error", None)
        to_do = _CERTIFICATES.get(getattr(sealed, "verify_code", 0), "check the network, which may put its own there")
        reasons = {
            _Refused: str(error),
            TimeoutError: f"did not answer within {timeout:g} seconds; try again, or download it yourself",
            (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError): "broke off before its end; try again",
            aiohttp.ClientHttpProxyError: f"is not read: the proxy {_answered(getattr(error, 'status', 0))}",
            aiohttp.ClientProxyConnectionError: f"is not reached: its proxy fails ({what}); check HTTPS_PROXY",
            aiohttp.ClientConnectorCertificateError: (
                f"has a certificate that is not trusted ({getattr(sealed, 'verify_message', '')}); {to_do}"
            ),
            Exception: f"cannot be read: {what}; "
            + _CAUSES.get(getattr(cause, "errno", 0), "check the address and the network"),
        }
        why = next(reason for kind, reason in reasons.items() if isinstance(error, kind))
        raise ImageError(f"{shown(address)} {why}.") from None


def within(seconds: float, step: Callable[[], Any]) -> Any:
    """What a step returns or raises, or TimeoutError when it takes longer; the step itself is then left behind."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(step())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def shown(address: str) -> str:
    """The address without what may be secret in it, and of a length that can be read."""
    url = _parts(address)
    plain = f"{url.scheme}://{url.raw_authority.rpartition('@')[2]}{url.raw_path}"
    return plain if len(plain) <= 200 else plain[:199] + "…"


def _answered(status: int, wait: str = "") -> str:
    """What a server answered in place of a picture, and what to do; `wait` is its Retry-After."""
    what = _ANSWERS.get(status, _LATER if status >= 500 else "check the address")
    seconds = f", after {wait} seconds" if wait.isdecimal() and what == _LATER else ""
    return f"answers {status} {responses.get(status, '')}; {what}{seconds}"


class _Refused(Exception):
    """Why an address is not read: the rest of a sentence that begins with it."""


class _Places:
    """A resolver for aiohttp: where a host lies, asked and vetted once, as a second answer may lead elsewhere."""

    def __init__(self, url: URL, proxied: bool, trusted: bool):
        self.places, why = [], "check its spelling and the network"
        try:
            self.places = socket.getaddrinfo(url.raw_host, url.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            why = _CAUSES.get(getattr(error, "errno", 0), why)
        if not self.places and not proxied:  # a proxy may know hosts that this machine does not
            raise _Refused(f"cannot be read: no host {url.raw_host} is found; {why}")
        if not trusted and not all(_is_public(place[0]) for *_, place in self.places):
            raise _Refused(
                f"lies on this machine or in a private network ({url.raw_host}), which is not read; "
                "if you mean it, say load_image(…, allow_local=True)"
            )

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[Any]:
        """The addresses of the host, in aiohttp's form."""
        same = {"hostname": host, "port": port, "flags": socket.AI_NUMERICHOST}
        return [same | {"host": place[0], "family": kind, "proto": proto} for kind, _, proto, _, place in self.places]


async def _read(address: str, max_bytes: int, timeout: float, allow_local: bool) -> bytes:
    first, own = address, None
    async with asyncio.timeout(timeout):
        for _ in range(MAX_REDIRECTS + 1):
            try:
                url = _quoted(_parts(address))
                own = own or url.raw_host
                proxy = None if proxy_bypass(url.raw_authority) else getproxies().get(url.scheme)
                proxy = proxy if not proxy or "://" in proxy else f"http://{proxy}"
                places = _Places(url, bool(proxy), allow_local and url.raw_host == own)
                answer = await _answer(url, places, proxy, max_bytes)
            except _Refused as error:
                raise error if address == first else _Refused(f"leads to {shown(address)}, which {error}") from None
            if isinstance(answer, bytes):
                return answer
            address = urljoin(address, answer)
    raise _Refused(f"redirects more than {MAX_REDIRECTS} times; check the address")


def _parts(address: str) -> URL:
    try:
        url = URL(address, encoded=True)
        _ = url.port
        return url
    except ValueError:  # its text may hold the password
        plain = re.split(r"[?#]", re.sub(r"//.*@", "//", address))[0]
        raise ImageError(f"{plain[:80]} is no address; check its host and port.") from None


def _quoted(url: URL) -> URL:
    """The address as it is sent: letters that are not ASCII, and spaces, written in ASCII."""
    if url.scheme not in ("http", "https"):
        raise _Refused("is no http or https address; give one, or a path")
    if not url.raw_host or "@" in url.raw_authority:
        raise _Refused("names no host, or a user, which is not sent; check the address")
    host = url.raw_authority.lower().encode("idna").decode()
    path, query = (quote(text, safe="/%:@!$&'()*+,;=~?-._") for text in (url.raw_path, url.raw_query_string))
    return URL.build(scheme=url.scheme, authority=host, path=path, query_string=query, encoded=True)


def _is_public(place: str) -> bool:
    number = ipaddress.ip_address(place)
    if number in _NAT64:
        number = ipaddress.ip_address(int(number) & 0xFFFF_FFFF)
    number = getattr(number, "ipv4_mapped", None) or getattr(number, "sixtofour", None) or number
    return number.is_global and not number.is_multicast


async def _answer(url: URL, places: _Places, proxy: str | None, max_bytes: int) -> bytes | str:
    """The content, or where it redirects to."""
    resolver = None if proxy else places  # the proxy itself may well lie in a private network
    encryption = ssl.create_default_context() if url.scheme == "https" else True
    connector = aiohttp.TCPConnector(resolver=resolver, ssl=encryption)
    async with (
        aiohttp.ClientSession(connector=connector, headers=_HEADERS, auto_decompress=False) as session,
        session.get(url, proxy=proxy, allow_redirects=False) as answer,
    ):
        if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
            return answer.headers["Location"]
        if not 200 <= answer.status < 300:
            raise _Refused(_answered(answer.status, answer.headers.get("Retry-After", "")))
        if (answer.content_length or 0) > max_bytes:
            raise _Refused(f"has {answer.content_length:,} bytes; the limit is {max_bytes:,}; make it smaller")
        coding = answer.headers.get("Content-Encoding", "identity")  # some servers pack although asked not to
        if coding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise _Refused(f"is packed by its server ({coding}), which is not read; download it yourself")
        unpack, content = zlib.decompressobj(47), bytearray()  # of gzip or zlib, as its beginning says
        try:
            async for part in answer.content.iter_any():
                content += part if coding == "identity" else unpack.decompress(part, max_bytes + 1 - len(content))
                if len(content) > max_bytes:
                    raise _Refused(f"has more than {max_bytes:,} bytes, the limit; make it smaller")
        except zlib.error:
            raise _Refused("is packed wrongly by its server; download it yourself") from None
    return bytes(content)
