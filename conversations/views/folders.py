"""The page on which people create, rename and delete their folders."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from conversations import actions
from conversations.actions import Refused
from conversations.forms import FolderForm
from conversations.models import Folder
from conversations.request import SignedInRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: SignedInRequest) -> HttpResponse:
    """List a person's folders; by POST, create one."""
    form = FolderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.create_folder(user=request.user, name=form.cleaned_data["name"])
        except Refused as refused:
            form.add_error("name", str(refused))
        else:
            messages.success(request, "Folder created.")
            return redirect("folders")
    context = {"form": form, "folders": Folder.objects.visible_to(request.user).order_by("key")}
    return render(request, "conversations/folders.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def rename(request: SignedInRequest, pk: int) -> HttpResponse:
    folder, form = _own(request, pk), FolderForm(request.POST)
    try:
        if form.is_valid():
            actions.rename_folder(folder=folder, name=form.cleaned_data["name"])
            messages.success(request, "Folder renamed.")
        else:
            messages.error(request, f"The folder was not renamed. {form.errors['name'][0]}")
    except Refused as refused:
        messages.error(request, f"The folder was not renamed. {refused}")
    return redirect("folders")


@login_required
@require_POST
def delete(request: SignedInRequest, pk: int) -> HttpResponse:
    actions.delete_folder(folder=_own(request, pk))
    messages.success(request, "Folder deleted. Its conversations are in your list.")
    return redirect("folders")


def _own(request: SignedInRequest, pk: int) -> Folder:
    return get_object_or_404(Folder.objects.visible_to(request.user), pk=pk)
