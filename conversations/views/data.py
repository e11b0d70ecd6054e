"""Everything that a person owns, as one archive: ask for it, download it."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from conversations import file_responses
from conversations.actions import Refused
from conversations.archives import PER_DAY, request_archive
from conversations.models import Archive, ArchiveState
from conversations.models.archive import KEPT_DAYS
from conversations.request import SignedInRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: SignedInRequest) -> HttpResponse:
    """Show the archives of this person; have another one made, with the reasoning if `reasoning` is sent."""
    if request.method == "POST":
        try:
            request_archive(user=request.user, reasoning="reasoning" in request.POST)
        except Refused as refused:
            messages.error(request, str(refused))
        return redirect("data")
    gone = (ArchiveState.DELETING, ArchiveState.DELETED)
    archives = Archive.objects.visible_to(request.user).exclude(state__in=gone).filter(expires_at__gt=timezone.now())
    found = list(archives.order_by("-created_at"))
    context = {"archives": found, "is_waiting": any(archive.is_unfinished for archive in found)}
    return render(request, "account/data.html", context | {"kept_days": KEPT_DAYS, "per_day": PER_DAY})


@login_required
@require_safe
def download(request: SignedInRequest, pk: uuid.UUID) -> HttpResponseBase:
    archive = get_object_or_404(Archive.objects.visible_to(request.user).downloadable(), pk=pk)
    name = f"{request.user.username} {archive.created_at:%Y-%m-%d}.zip"
    return file_responses.archive(archive, name)
