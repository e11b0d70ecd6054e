"""Saved prompts: the page that lists and adds them, that of each, and the menu at the composer."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from conversations import actions
from conversations.actions import Refused
from conversations.forms import SavedPromptForm
from conversations.models import SavedPrompt
from conversations.request import SignedInRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: SignedInRequest) -> HttpResponse:
    """List a person's saved prompts; by POST, add one."""
    form = SavedPromptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.save_prompt(user=request.user, **form.cleaned_data)
        except Refused as refused:
            form.add_error("name", str(refused))
        else:
            messages.success(request, "Prompt saved.")
            return redirect("saved_prompts")
    context = {"form": form, "prompts": _listed(request)}
    return render(request, "conversations/saved_prompts.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SignedInRequest, pk: int) -> HttpResponse:
    """Show a prompt to change it; by POST, change it."""
    prompt = get_prompt(request, pk)
    form = SavedPromptForm(request.POST or None, initial={"name": prompt.name, "text": prompt.text})
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_prompt(prompt=prompt, **form.cleaned_data)
        except Refused as refused:
            form.add_error("name", str(refused))
        else:
            messages.success(request, "Prompt saved.")
            return redirect("saved_prompts")
    context = {"form": form, "prompt": prompt}
    return render(request, "conversations/saved_prompt.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def delete(request: SignedInRequest, pk: int) -> HttpResponse:
    try:
        actions.delete_prompt(prompt=get_prompt(request, pk))
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "Prompt deleted.")
    return redirect("saved_prompts")


@login_required
@require_safe
def menu(request: SignedInRequest) -> HttpResponse:
    """Return the names, for the menu at the composer."""
    return render(request, "conversations/_prompt_names.html", {"prompts": _listed(request)})


@login_required
@require_safe
def insert(request: SignedInRequest, pk: int) -> HttpResponse:
    """Return the text as the composer's script takes it."""
    return render(request, "conversations/_cancelled.html", {"content": get_prompt(request, pk).text})


def get_prompt(request: SignedInRequest, pk: int) -> SavedPrompt:
    return get_object_or_404(SavedPrompt.objects.visible_to(request.user), pk=pk)


def _listed(request: SignedInRequest) -> list[SavedPrompt]:
    """Return a person's prompts by name, without their text."""
    found = SavedPrompt.objects.visible_to(request.user).defer("text")
    return sorted(found, key=lambda prompt: (prompt.name.casefold(), prompt.pk))
