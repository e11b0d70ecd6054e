from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from chatsite.time_zones import describe_moment, start_of_next_day
from conversations import limits
from conversations.forms import InstructionsForm, PreferencesForm, ThemeForm
from conversations.models.usage import balance
from conversations.request import SignedInRequest


@login_required
def edit(request: SignedInRequest) -> HttpResponse:
    """Show and change preferences."""
    form = PreferencesForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Preferences saved.")
        return redirect("preferences")
    return show(request, form=form)


def show(request: SignedInRequest, status: int = 200, **forms: Any) -> HttpResponse:
    """Show preferences and instructions, and how much is used of the day's tokens and of the room for text."""
    stored, stored_limit = limits.stored_text(request.user.pk)
    context: dict[str, Any] = {"stored": stored, "stored_limit": stored_limit}
    if settings.USER_DAILY_TOKENS:
        context |= {"daily_limit": settings.USER_DAILY_TOKENS, "balance": balance(request.user)}
        context["day_ends"] = describe_moment(start_of_next_day())
    context["form"] = forms.get("form") or PreferencesForm(instance=request.user)
    given = forms.get("instructions_form")
    context["instructions_form"] = given or InstructionsForm(instructions=request.user.instructions)
    return render(request, "conversations/preferences.html", context, status=status)


@login_required
@require_POST
def theme(request: SignedInRequest) -> HttpResponse:
    """Change the theme alone, for the command palette, which applies it to the page by itself."""
    form = ThemeForm(request.POST, instance=request.user)
    if not form.is_valid():
        return HttpResponseBadRequest("Choose one of the themes.")
    form.save()
    return HttpResponse(status=204)
