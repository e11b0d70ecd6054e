from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render

from conversations import limits
from conversations.forms import PreferencesForm
from conversations.models.usage import tokens_today
from conversations.request import SignedInRequest


@login_required
def edit(request: SignedInRequest) -> HttpResponse:
    """Show and change preferences, and show how much is used of the day's tokens and of the room for text."""
    form = PreferencesForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Preferences saved.")
        return redirect("preferences")
    used = tokens_today(request.user) if settings.USER_DAILY_TOKENS else None
    stored, stored_limit = limits.stored_text(request.user.pk)
    context = {
        "form": form,
        "used": used,
        "daily_limit": settings.USER_DAILY_TOKENS,
        "stored": stored,
        "stored_limit": stored_limit,
    }
    return render(request, "conversations/preferences.html", context)
