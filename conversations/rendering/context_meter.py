from typing import NamedTuple

from django.template.loader import render_to_string


def context_meter(use: NamedTuple) -> str:
    """Return the meter that shows how much of the context is used, for an open page."""
    return render_to_string("conversations/_context.html", {"context_use": use, "oob": True})
