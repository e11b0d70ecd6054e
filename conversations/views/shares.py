"""Pages by which owners share conversations, and see and revoke their links."""

import uuid

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from conversations import actions
from conversations.actions import Refused
from conversations.forms import ShareForm
from conversations.models import Attachment, Conversation, Share
from conversations.models.share import ShareQuerySet
from conversations.request import SignedInRequest
from conversations.views.redirects import redirect_back


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask how to share a conversation, and list its links; by POST, create one."""
    conversation = get_object_or_404(Conversation.objects.visible_to(request.user), pk=pk)
    if settings.SHARING == "off":
        raise Http404
    form = ShareForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            share = actions.create_share(conversation=conversation, **form.cleaned_data)
        except Conversation.DoesNotExist:
            raise Http404 from None
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, "Link created. Copy it from the list below.")
            return redirect(f"{request.path}#share-{share.pk}")
    context = {
        "conversation": conversation,
        "form": form,
        "has_files": Attachment.objects.filter(message__conversation=conversation).exists(),
        "shares": _shares(request).filter(conversation=conversation),
        "base_url": _base_url(request),
    }
    return render(request, "conversations/share.html", context, status=422 if form.errors else 200)


@login_required
@require_safe
def index(request: SignedInRequest) -> HttpResponse:
    """List this person's links, newest first; few enough for one page."""
    context = {"shares": _shares(request), "sharing": settings.SHARING, "base_url": _base_url(request)}
    return render(request, "conversations/shares.html", context)


@login_required
@require_POST
def revoke(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    actions.revoke_share(share=get_object_or_404(Share.objects.visible_to(request.user), pk=pk))
    messages.success(request, "Link revoked. It does not work any more.")
    return redirect_back(request, reverse("shares"))


def _shares(request: SignedInRequest) -> ShareQuerySet:
    shares = Share.objects.visible_to(request.user).select_related("conversation").defer("pins")
    return shares.order_by("-created_at")


def _base_url(request: SignedInRequest) -> str:
    return request.build_absolute_uri(settings.SHARED_PATH)
