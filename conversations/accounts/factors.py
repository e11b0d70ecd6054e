"""Second factors: who must have one, how secrets are encrypted, and where passkeys work."""

import base64
import ipaddress
import logging
from typing import Any
from urllib.parse import urlsplit

import qrcode
from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_removed, authenticator_used
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.shortcuts import render
from qrcode.image.svg import SvgPathImage

from conversations.accounts import sign_in_log
from conversations.models import User
from conversations.session_monitor import FACTOR_REQUIRED

logger = logging.getLogger(__name__)

SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
ENCRYPTED = ("secret", "seed")  # in `Authenticator.data`, of codes from an app and of recovery codes


class MFAAdapter(DefaultMFAAdapter):
    """allauth's hooks for second factors."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "That did not work. With an app, wait for its next code. With a passkey, try again.",
    }

    def build_totp_svg(self, url: str) -> str:
        """Return the QR code as an element for the page: the content security policy allows no data: address."""
        # Four modules of white around it, as scanners need; without a size, the style sheet decides.
        image = qrcode.make(url, image_factory=SvgPathImage, border=4)
        svg = image.get_image()
        for name in ("width", "height"):
            svg.attrib.pop(name)
        svg.set("role", "img")
        svg.set("aria-label", "QR code for your authenticator app")
        return image.to_string(encoding="unicode")

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return _cipher().decrypt(encrypted_text.encode()).decode()
        except InvalidToken as error:
            logger.exception("a second factor cannot be read: the SECRET_KEY that encrypted it is not set any more")
            page = render(context.request, "mfa/unreadable.html", status=500)
            raise ImmediateHttpResponse(page) from error

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return "Passkey" if number == 1 else f"Passkey {number}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {"id": _host(context.request), "name": settings.SITE_NAME}


def _cipher() -> MultiFernet:
    """Return the cipher that encrypts with a key derived from `SECRET_KEY` and decrypts with earlier ones too."""
    return MultiFernet([_key(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(secret: str) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"second factors").derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


@receiver(authenticator_used, dispatch_uid="encryption")
def encrypt_again(user: User, **_kwargs: Any) -> None:
    """Encrypt with `SECRET_KEY` what an earlier key has encrypted, so that the earlier one can be removed in time."""
    if not settings.SECRET_KEY_FALLBACKS:
        return
    with transaction.atomic():
        for authenticator in Authenticator.objects.select_for_update().filter(user=user):
            data = authenticator.data
            for name in data.keys() & set(ENCRYPTED):
                data[name] = _cipher().rotate(data[name].encode()).decode()
            authenticator.save(update_fields=["data"])


@receiver(authentication_failed, dispatch_uid="sign-in log")
def log_failure(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    sign_in_log.refused(get_adapter(request), user.username, "wrong code of a second factor")


def has_second_factor(user: User) -> bool:
    return Authenticator.objects.filter(user=user, type__in=SECOND_FACTORS).exists()


def require(request: HttpRequest, user: User | AnonymousUser) -> None:
    """Let this session only set up a second factor, if its user needs one and has none.

    On a public site, people who administer or review need one, unless single sign-on has signed them in.
    """
    if not settings.IS_PUBLIC or not user.is_authenticated:
        return
    if not (user.is_staff or user.is_superuser or user.review_permissions):
        return
    methods = {record["method"] for record in get_authentication_records(request, user)}
    if "socialaccount" not in methods and not has_second_factor(user):
        request.session[FACTOR_REQUIRED] = True


@receiver(authenticator_removed, dispatch_uid="required factors")
def require_again(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    require(request, user)


def passkeys_work(request: HttpRequest) -> bool:
    """Return whether browsers allow passkeys at the address of this page: https or localhost, and no IP address."""
    host = _host(request)
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        # The proxy that provides https may not be counted in TRUSTED_PROXY_COUNT.
        return request.is_secure() or any(
            (origin.scheme, origin.hostname) == ("https", host)
            for origin in map(urlsplit, settings.CSRF_TRUSTED_ORIGINS)
        )
    return False


def _host(request: HttpRequest) -> str:
    return split_domain_port(request.get_host())[0]
