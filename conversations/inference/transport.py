"""The HTTP transport of the OpenAI SDK's client, over aiohttp's public interface.

httpx2's own transport takes more than twice the CPU for each delta of a stream. The SDK has an aiohttp transport, but
hides the connection, which `BodyReader.pause` needs.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import cache
from http import HTTPStatus
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2

CONNECT_SECONDS = 10  # to resolve the name, connect and agree on TLS
KEEPALIVE_SECONDS = 5  # how long an idle connection stays in the pool
PIECE_BYTES = 256 * 1024  # of a larger body, as with images: writing it whole would block the event loop
MAX_ERROR_BYTES = 16 * 1024  # of the body of an error, as it was sent


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Send requests with aiohttp. Create it on a running event loop.

    The `extensions["reader"]` of each response is its `BodyReader`. Responses are not decompressed, and there is no
    read timeout: `stream` waits for the next event, not for the next byte. Raises httpx2's errors, among them
    `RemoteProtocolError` for a response that is not HTTP.

    The body of an error is read at once, as far as it can be, for the SDK reads it without a limit and decodes it by
    whatever character set the response names.
    """

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            # No limit on connections (aiohttp's default is 100): GENERATION_CONCURRENCY limits the requests.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=_tls()),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        try:
            response = await self._session.request(
                request.method,
                str(request.url),
                headers=request.headers,
                data=_in_pieces(content) if len(content) > PIECE_BYTES else content or None,
                allow_redirects=False,  # httpx2's client follows them
                proxy=_proxy(request.url),
            )
        except Exception as error:  # whatever it is, the other side caused it
            raise _to_httpx2(error) from error
        reader = BodyReader(response)
        if response.status >= HTTPStatus.BAD_REQUEST:
            return await _error_response(response, reader)
        # Nobody's request carries a cookie that the endpoint set in response to another's. An invalid one would make
        # every further request fail.
        headers = [(name, value) for name, value in response.raw_headers if name.lower() != b"set-cookie"]
        return httpx2.Response(response.status, headers=headers, stream=reader, extensions={"reader": reader})

    async def aclose(self) -> None:
        await self._session.close()


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


@cache
def _tls() -> ssl.SSLContext:
    """Return the process's settings for TLS: to load all authorities takes tens of milliseconds."""
    return httpx2.create_ssl_context()


class BodyReader(httpx2.AsyncByteStream):
    """Read a response's body: an asynchronous iterator whose every step returns all bytes that have arrived."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._resume_timer: asyncio.TimerHandle | None = None
        self._failure: httpx2.TransportError | None = None  # raised once everything before it was read

    def __aiter__(self) -> "BodyReader":
        return self

    async def __anext__(self) -> bytes:
        if self._failure:
            raise self._failure
        content = self._response.content
        try:
            if not content.is_eof() and (error := self._protocol_error()):
                raise error
            data = await content.readany()
        except Exception as error:  # whatever it is, the other side caused it
            self._failure = _to_httpx2(error)
            self._failure.__cause__ = error
            # aiohttp hands over nothing after an error, also not what came before it in the same packet.
            content.set_exception(None)  # type: ignore[arg-type]
            content.feed_eof()
            data = await content.readany()
            if not data:
                raise self._failure from error
        if not data:
            raise StopAsyncIteration
        return data

    def _protocol_error(self) -> BaseException | None:
        """Return why what arrived is not HTTP. A read would wait for ever after that."""
        connection = self._response.connection
        if connection is None or connection.protocol is None:
            return None
        return connection.protocol.exception()

    def pause(self, seconds: float) -> None:
        """Leave what arrives in the next `seconds` to the kernel, so that one read returns all of it.

        Waking up is most of what a packet costs. Read on at once: aiohttp hands over what came before a broken
        connection only to a read that waits for it.
        """
        connection = self._response.connection
        if connection is None or connection.transport is None:
            return  # the body has ended, and its connection is closed or in the pool
        connection.transport.pause_reading()
        resume = connection.transport.resume_reading
        self._resume_timer = asyncio.get_running_loop().call_later(seconds, resume)

    async def aclose(self) -> None:
        """Close the connection at once. If the body was read to its end, the connection is in the pool and stays."""
        if self._resume_timer:
            self._resume_timer.cancel()
        self._response.close()


def _proxy(url: httpx2.URL) -> str | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name for `url`.

    aiohttp's `trust_env` ignores ALL_PROXY, and refuses every request to a host that ~/.netrc has a password for.
    """
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


async def _error_response(response: aiohttp.ClientResponse, reader: BodyReader) -> httpx2.Response:
    """Return a response with what can be read of its body: the first bytes, without characters that are not UTF-8."""
    body = b""
    try:
        async for data in reader:
            body += data
            if len(body) >= MAX_ERROR_BYTES:
                break
    except httpx2.TransportError:
        pass  # the status is what counts
    finally:
        await reader.aclose()
    encoding = response.headers.get("Content-Encoding", "")
    try:
        body = httpx2.Response(200, headers={"Content-Encoding": encoding}, content=body).content
    except httpx2.DecodingError:
        body = b""
    retry_after = response.headers.get("Retry-After")
    return httpx2.Response(response.status, headers={"Retry-After": retry_after} if retry_after else {}, content=body)


def _to_httpx2(error: Exception) -> httpx2.TransportError:
    match error:
        case aiohttp.ServerTimeoutError():
            return httpx2.ConnectTimeout(str(error))
        case aiohttp.ClientConnectorError():
            return httpx2.ConnectError(str(error))
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            return httpx2.ReadError(str(error))
        case aiohttp.ClientHttpProxyError():
            return httpx2.ProxyError(str(error))
        case TimeoutError():
            return httpx2.ConnectTimeout(str(error))
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return httpx2.UnsupportedProtocol(str(error))
        case _:
            return httpx2.RemoteProtocolError(str(error))
