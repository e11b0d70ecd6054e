"""What people see when an action is refused."""

import uuid
from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django_htmx.http import reswap

from conversations.actions import Refused
from conversations.models import Conversation
from conversations.rendering import fragments
from conversations.request import SignedInRequest
from conversations.views.pages import DRAFT


def explain_refusals(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Show why an action is refused, and keep the text; respond with 404 if the conversation has just been deleted."""

    @wraps(view)
    def wrapper(request: SignedInRequest, *args, **kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Conversation.DoesNotExist:
            raise Http404 from None
        except Refused as refused:
            if request.htmx:
                return reswap(HttpResponse(fragments.composer_error(str(refused)), status=422), "none")
            messages.error(request, str(refused))
            if content := request.POST.get("content", ""):
                request.session[DRAFT] = content
            if refused.conversation:
                return redirect(refused.conversation)
            pk = kwargs.get("pk")
            return redirect("conversation", pk) if isinstance(pk, uuid.UUID) else redirect("new")

    return wrapper
