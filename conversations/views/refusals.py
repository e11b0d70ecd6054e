"""What people see when an action is refused."""

import uuid
from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.html import escape
from django_htmx.http import reswap

from conversations.actions import Refused
from conversations.models import Conversation
from conversations.rendering import fragments
from conversations.request import SignedInRequest
from conversations.views.pages import DRAFT

View = Callable[..., HttpResponse]


def explain_refusals(view: View) -> View:
    """Show why an action is refused, and keep the text; respond with 404 if the conversation has just been deleted."""
    return _explain(view, in_composer)


def explain_refusals_in_form(view: View) -> View:
    """Do the same, but for htmx show it where the form that was sent has its error."""
    return _explain(view, in_form)


def in_composer(sentence: str) -> HttpResponse:
    """Return the response to htmx that shows an error above the composer."""
    return reswap(HttpResponse(fragments.composer_error(sentence), status=422), "none")


def in_form(sentence: str) -> HttpResponse:
    """Return the response to htmx that shows an error in the request's target."""
    return HttpResponse(escape(sentence), status=422)


def _explain(view: View, show: Callable[[str], HttpResponse]) -> View:
    @wraps(view)
    def wrapper(request: SignedInRequest, *args, **kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Conversation.DoesNotExist:
            raise Http404 from None
        except Refused as refused:
            if request.htmx:
                return show(str(refused))
            messages.error(request, str(refused))
            if content := request.POST.get("content", ""):
                request.session[DRAFT] = content
            if refused.conversation:
                return redirect(refused.conversation)
            pk = kwargs.get("pk")
            return redirect("conversation", pk) if isinstance(pk, uuid.UUID) else redirect("new")

    return wrapper
