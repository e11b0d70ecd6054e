"""A fake of the parts of Azure that a site without keys uses: the issuer of tokens, and the services that accept them.

The issuer states a lifetime of `seconds`, but tokens are rejected only when the test lets them expire, so that a slow
machine does not make a token expire between two lines.
"""

import base64
import contextlib
import datetime
import hashlib
import ipaddress
import json
import re
import socket
import socketserver
import struct
import threading
import time
import uuid
from dataclasses import dataclass

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.endpoint import WAIT, Endpoint, Exchange
from tests.proxy import Proxy
from tests.services import Redis

DATABASE = "https://ossrdbms-aad.database.windows.net"
REDIS = "https://redis.azure.com"
MODEL = "https://cognitiveservices.azure.com"
BLOBS = "https://storage.azure.com"
HEADER = "header-secret"
EVERYTHING = {"keys": ["*"], "channels": ["*"], "categories": ["+@all"]}
RADIUS_SECRET = b"radius-secret"
TOKEN = re.compile(rb"e30\.[\w-]+\.canary")


@dataclass
class Issued:
    text: str
    resource: str
    expires_on: int  # Unix time in whole seconds, like the platform's
    expired: bool = False


class Cloud:
    """The identity endpoint of a container in Container Apps, and the state of its tokens."""

    def __init__(self, seconds: int = 86_400) -> None:
        self.seconds = seconds
        self.object_id = str(uuid.uuid4())
        self.client_id = str(uuid.uuid4())
        self.issued: list[Issued] = []
        self.asked: list[dict[str, str]] = []
        self.status = 200  # of the identity endpoint's responses
        self.redis: AzureRedis | None = None
        self._endpoint = Endpoint()
        self._endpoint.respond = self._issue

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that the platform and an operator set for the container."""
        return {
            "IDENTITY_ENDPOINT": self._endpoint.base_url,
            "IDENTITY_HEADER": HEADER,
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9",  # so that no real one is asked
            "RUNNING_IN_PRODUCTION": "true",
            "AZURE_CLIENT_ID": self.client_id,
        }

    def tokens(self, resource: str) -> list[str]:
        """Return the tokens issued for a resource, in order."""
        return [token.text for token in self.issued if token.resource == resource]

    def accepts(self, text: str, resource: str) -> bool:
        return any(t.text == text and t.resource == resource and not t.expired for t in self.issued)

    def let_expire(self) -> dict[str, str]:
        """Wait until all tokens issued so far have expired, and reject them from then on.

        Return the newest rejected token for each resource.
        """
        old = [token for token in self.issued if not token.expired]
        time.sleep(max(0.0, max(token.expires_on for token in old) - time.time()))
        for token in old:
            token.expired = True
        if self.redis:
            self.redis.refuse([token.text for token in old if token.resource == REDIS])
        return {token.resource: token.text for token in old}

    def hold(self) -> None:
        """Delay the endpoint's responses until `release`."""
        self._endpoint.reset()
        self._endpoint.respond = self._issue_later

    def release(self) -> None:
        self._endpoint.open("answer")

    def close(self) -> None:
        self._endpoint.close()

    async def _issue_later(self, exchange: Exchange) -> None:
        await exchange.gate("answer")
        await self._issue(exchange)

    async def _issue(self, exchange: Exchange) -> None:
        self.asked.append(exchange.query)
        if self.status != 200 or exchange.headers.get("X-IDENTITY-HEADER") != HEADER:
            await exchange.fail(self.status if self.status != 200 else 401, "canary-code", "canary-detail")
            return
        resource, expires_on = exchange.query["resource"], int(time.time()) + self.seconds
        claims: dict[str, object] = {"oid": self.object_id, "n": len(self.issued)}
        if resource == BLOBS:  # Azurite reads them. RADIUS, by which PostgreSQL checks tokens, takes 128 bytes.
            claims |= {"iat": expires_on - self.seconds, "nbf": expires_on - self.seconds, "exp": expires_on}
            claims |= {"iss": f"https://sts.windows.net/{self.client_id}/", "aud": resource}
        text = f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.canary"
        if self.redis and resource == REDIS:
            self.redis.accept(text)
        self.issued.append(Issued(text, resource, expires_on))
        token = {"access_token": text, "expires_on": str(expires_on), "resource": resource, "token_type": "Bearer"}
        await exchange.start(200, "application/json")
        await exchange.raw(json.dumps(token).encode())


class Radius:
    """A minimal RADIUS server (RFC 2865) that tells PostgreSQL whether a password is a valid token for databases."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        owner = self

        class Handler(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                self.wfile.write(owner._answer(self.rfile.read()))

        self._server = socketserver.UDPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: bytes) -> bytes:
        authenticator, attributes = request[4:20], request[20:]
        password = ""
        while attributes:
            kind, length = attributes[:2]
            if kind == 2:  # User-Password
                password = self._decrypt(attributes[2:length], authenticator)
            attributes = attributes[length:]
        code = 2 if self._cloud.accepts(password, DATABASE) else 3
        head = struct.pack("!BBH", code, request[1], 20)
        return head + _md5(head, authenticator, RADIUS_SECRET)

    def _decrypt(self, hidden: bytes, authenticator: bytes) -> str:
        shown, before = b"", authenticator
        for start in range(0, len(hidden), 16):
            block = hidden[start : start + 16]
            shown += bytes(a ^ b for a, b in zip(block, _md5(RADIUS_SECRET, before), strict=True))
            before = block
        return shown.rstrip(b"\0").decode()


def _md5(*parts: bytes) -> bytes:
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()


class AzureRedis:
    """A Redis that authenticates clients by token and closes a connection when its token expires."""

    def __init__(self, server: Redis, object_id: str) -> None:
        self._object_id = object_id
        with redis.Redis.from_url(server.url) as first:
            first.acl_setuser("admin", enabled=True, passwords=["+admin"], **EVERYTHING)
            first.acl_setuser("default", enabled=False)
        self.admin = redis.Redis.from_url(server.url, username="admin", password="admin")
        self._proxy = TokenProxy(server.url)
        self.url = self._proxy.url.replace("http", "redis")  # the proxy closes connections whose token has expired

    def accept(self, token: str) -> None:
        self.admin.acl_setuser(self._object_id, enabled=True, passwords=[f"+{token}"], **EVERYTHING)

    def refuse(self, tokens: list[str]) -> None:
        self.admin.acl_setuser(self._object_id, enabled=True, passwords=[f"-{token}" for token in tokens])
        self._proxy.end(tokens)

    def await_renewed(self, tokens: list[str]) -> None:
        """Wait until all subscribers have sent newer tokens than these on their existing connections."""
        self._proxy.await_newer(tokens)

    def close(self) -> None:
        self.admin.close()
        self._proxy.close()


class TokenProxy(Proxy):
    """A proxy to Redis that records the last token of each connection."""

    def __init__(self, target: str) -> None:
        self._shown: dict[socket.socket, str] = {}
        self._subscribers: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(target)

    def on_data(self, source: socket.socket, data: bytes) -> None:
        with self._changed:
            if tokens := TOKEN.findall(data):
                self._shown[source] = tokens[-1].decode()
            if b"SUBSCRIBE" in data:
                self._subscribers.add(source)
            self._changed.notify_all()

    def await_newer(self, tokens: list[str]) -> None:
        with self._changed:
            those = set(self._subscribers)
            assert self._changed.wait_for(lambda: all(self._shown[one] not in tokens for one in those), WAIT)

    def end(self, tokens: list[str]) -> None:
        with self._changed:
            over = [client for client, token in self._shown.items() if token in tokens]
        for client in over:
            with contextlib.suppress(OSError):  # already closed
                client.shutdown(socket.SHUT_RDWR)


def _subject(address: str) -> x509.GeneralName:
    is_name = any(letter.isalpha() for letter in address)
    return x509.DNSName(address) if is_name else x509.IPAddress(ipaddress.ip_address(address))


def make_certificate(address: str) -> str:
    """Return a self-signed certificate for an IPv4 address or a name, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_subject(address)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    return (certificate.public_bytes(encoding) + private).decode()
