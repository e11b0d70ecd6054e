"""What stands below the composer, for an open page."""

from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils.html import escape

from conversations.rendering import fragments


def context_meter(use: NamedTuple) -> str:
    """Return the meter that shows how much of the context is used."""
    return render_to_string("conversations/_context.html", {"context_use": use, "oob": True})


def tokens_left(notice: str) -> str:
    """Return the notice that little is left of the tokens of the day; "" takes it away."""
    return fragments.replace("tokens-left", escape(notice))
