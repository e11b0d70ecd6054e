"""The pages on which people select conversations, and what is done with those that they have selected."""

import uuid
import zipfile
from collections.abc import Generator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from conversations import actions, limits
from conversations.export import stream_json
from conversations.forms import ListForm, SelectedForm
from conversations.models import Conversation, Folder, User
from conversations.models.conversation import ConversationQuerySet, Placement
from conversations.pagination import take_page
from conversations.request import SignedInRequest
from conversations.views.deletion import offer_undo
from conversations.views.export_parts import TOO_MANY, ExportParts, TooManyExports
from conversations.views.pages import CONVERSATIONS_PER_PAGE
from conversations.views.redirects import redirect_back
from conversations.zip_buffer import ZipBuffer

SELECTED = 100  # conversations at a time


def show(request: SignedInRequest) -> HttpResponse:
    """List a person's conversations, or those of the folder `?folder=`, to select them."""
    folder = chosen_folder(request)
    found = Conversation.objects.visible_to(request.user)
    if folder:
        found = found.filter(folder=folder)
    if before := request.GET.get("before", ""):
        return _render(request, found.unpinned().older_than(before), folder=folder)
    pinned = list(found.pinned().newest_first().select_related("folder")[: limits.PINNED])
    return _render(request, found.unpinned(), folder=folder, pinned=pinned)


@login_required
@require_safe
def archived(request: SignedInRequest) -> HttpResponse:
    """List archived conversations, newest first; `?before=` is the cursor of the last one on the page before."""
    found = Conversation.objects.visible_to(request.user).archived()
    return _render(request, found.older_than(request.GET.get("before", "")), archived=True)


@login_required
@require_POST
def selected(request: SignedInRequest) -> HttpResponseBase:
    """Archive, move, export or delete the conversations that are selected."""
    form = SelectedForm(request.POST)
    if not form.is_valid():
        raise BadRequest(f"SelectedForm: {', '.join(form.errors)}")
    ids, do = form.cleaned_data["conversation"], form.cleaned_data["do"]
    back = redirect_back(request, reverse("conversations"))
    if not ids:
        messages.error(request, "Select at least one conversation.")
        return back
    if len(ids) > SELECTED:
        messages.error(request, f"Select {SELECTED} conversations or fewer.")
        return back
    if not Conversation.objects.visible_to(request.user).filter(pk__in=ids).exists():
        raise Http404
    match do:
        case "export":
            try:
                return _export(request.user, ids)
            except TooManyExports:
                messages.error(request, TOO_MANY)
        case "delete":
            _delete(request, ids)
        case "move":
            folder = folder_to_move_to(request)
            number = actions.move(user=request.user, ids=ids, folder=folder)
            where = f"to “{folder.name}”" if folder else f"out of {'its folder' if number == 1 else 'their folders'}"
            messages.success(request, f"{_count(number)} moved {where}.")
        case _:
            number = actions.archive_several(user=request.user, ids=ids, archived=do == "archive")
            done = "archived" if do == "archive" else "moved back to your list"
            messages.success(request, f"{_count(number)} {done}.")
    return back


def chosen_folder(request: SignedInRequest) -> Folder | None:
    """Return the folder of the query string, None without one. Raises `Http404`."""
    form = ListForm(request.GET)
    form.is_valid()
    pk = form.cleaned_data.get("folder")
    return get_object_or_404(Folder.objects.visible_to(request.user), pk=pk) if pk else None


def folder_to_move_to(request: SignedInRequest) -> Folder | None:
    """Return the folder of a form that moves conversations; None if it says so. Raises `Http404`."""
    form = ListForm(request.POST)
    if not form.is_valid() or "folder" not in request.POST:
        raise BadRequest("folder")
    pk = form.cleaned_data["folder"]
    return get_object_or_404(Folder.objects.visible_to(request.user), pk=pk) if pk else None


def _render(
    request: SignedInRequest,
    found: ConversationQuerySet,
    *,
    archived: bool = False,
    folder: Folder | None = None,
    pinned: list[Conversation] | None = None,
) -> HttpResponse:
    page, last = take_page(found.select_related("folder"), CONVERSATIONS_PER_PAGE)
    of_folder = {"folder": folder.pk} if folder else {}
    here = of_folder | ({"before": request.GET["before"]} if "before" in request.GET else {})
    context: dict[str, Any] = {
        "conversations": [*(pinned or ()), *page],
        "pinned_placement": Placement.PINNED,
        "archived": archived,
        "folder": folder,
        "folders": Folder.objects.visible_to(request.user).order_by("key"),
        "older": urlencode(of_folder | {"before": last.cursor}) if last else "",
        "select_all": urlencode(here | {"select": "all"}),
        "select_none": urlencode(here),
        "all_selected": request.GET.get("select") == "all",
    }
    return render(request, f"conversations/{'archived' if archived else 'list'}.html", context)


def _delete(request: SignedInRequest, ids: list[uuid.UUID]) -> None:
    deleted_at, deleted, held = actions.delete_several(user=request.user, ids=ids)
    if held:
        kept = "it must" if held == 1 else "they must"
        messages.error(request, f"{_count(held)} not deleted: {kept} be kept for legal reasons.")
    if deleted:
        offer_undo(request, f"{_count(deleted)} deleted.", deleted_at)


def _export(user: User, ids: list[uuid.UUID]) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="conversations-{timezone.localdate():%Y-%m-%d}.zip"'}
    parts = ExportParts(user.pk, _zip_parts(user, ids))
    return StreamingHttpResponse(parts, content_type="application/zip", headers=headers)


def _zip_parts(user: User, ids: list[uuid.UUID]) -> Generator[bytes, None, None]:
    """Yield the parts of a ZIP that has each conversation as JSON. Those that are deleted meanwhile are missing."""
    buffer = ZipBuffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for pk in ids:
            found = Conversation.objects.visible_to(user).filter(pk=pk).select_related("instructions", "folder")
            if conversation := found.first():
                with archive.open(f"conversations/{pk}.json", "w") as file:
                    for part in stream_json(conversation, reasoning=True, versions=True):
                        file.write(part.encode())
                        yield buffer.take()
                yield buffer.take()
    yield buffer.take()


def _count(number: int) -> str:
    return f"{number} conversation{'' if number == 1 else 's'}"
