"""The request that views behind `login_required` get."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from conversations.models import User


class SignedInRequest(HttpRequest):
    """A request by somebody who is signed in, with what django-htmx's middleware adds to every request."""

    user: User
    htmx: HtmxDetails
