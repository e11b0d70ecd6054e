"""Whose request it is, before Django sees it."""

import ipaddress

from django.conf import settings


def client_address(peer: str, forwarded: str) -> str:
    """Return the address of a request's client, as far as proxies can be trusted to name it.

    `peer` is the address that the connection comes from, `forwarded` the header X-Forwarded-For.
    """
    proxies = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    named = [address.strip() for address in forwarded.split(",")]
    return (named[-proxies] if proxies and len(named) >= proxies else "") or peer


def network(address: str) -> str:
    """Return the address, or of IPv6 the network of 64 bits that one subscriber has at least."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # some proxies name clients by other words
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
