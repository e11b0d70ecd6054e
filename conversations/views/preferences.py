from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from chatsite.time_zones import describe_moment, start_of_next_day
from conversations import limits
from conversations.forms import PreferencesForm, ThemeForm
from conversations.models.usage import balance
from conversations.request import SignedInRequest


@login_required
def edit(request: SignedInRequest) -> HttpResponse:
    """Show and change preferences, and show how much is used of the day's tokens and of the room for text."""
    form = PreferencesForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Preferences saved.")
        return redirect("preferences")
    stored, stored_limit = limits.stored_text(request.user.pk)
    context: dict[str, Any] = {"form": form, "stored": stored, "stored_limit": stored_limit}
    if settings.USER_DAILY_TOKENS:
        context |= {"daily_limit": settings.USER_DAILY_TOKENS, "balance": balance(request.user)}
        context["day_ends"] = describe_moment(start_of_next_day())
    return render(request, "conversations/preferences.html", context)


@login_required
@require_POST
def theme(request: SignedInRequest) -> HttpResponse:
    """Change the theme alone, for the command palette, which applies it to the page by itself."""
    form = ThemeForm(request.POST, instance=request.user)
    if not form.is_valid():
        return HttpResponseBadRequest("Choose one of the themes.")
    form.save()
    return HttpResponse(status=204)
