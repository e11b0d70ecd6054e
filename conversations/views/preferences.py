from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.formats import date_format
from django.views.decorators.http import require_POST

from chatsite.time_zones import describe_moment, site_day, start_of_next_day
from conversations import limits
from conversations.figure import Figure
from conversations.forms import InstructionsForm, PreferencesForm, ThemeForm
from conversations.models import DailyUsage, User
from conversations.models.access import allowed_models, daily_limits
from conversations.models.generation import label_of
from conversations.models.usage import balance
from conversations.request import SignedInRequest
from conversations.views.redirects import redirect_back

USAGE_DAYS = 30
TOKEN_COLUMNS = ("Tokens", "Questions and history", "Reasoning", "Answers")


@login_required
def edit(request: SignedInRequest) -> HttpResponse:
    """Show and change preferences."""
    form = PreferencesForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.instance.save(update_fields=list(form.cleaned_data))
        messages.success(request, "Preferences saved.")
        return redirect("preferences")
    return show(request, form=form)


def show(request: SignedInRequest, status: int = 200, **forms: Any) -> HttpResponse:
    """Show preferences, instructions, the tokens of today and of the last days, and the room for text in use."""
    stored, stored_limit = limits.stored_text(request.user.pk)
    context: dict[str, Any] = {"stored": stored, "stored_limit": stored_limit}
    context |= {"usage": _usage(request.user), "usage_days": USAGE_DAYS}
    if limits_of_day := daily_limits(request.user, allowed_models(request.user).values()):
        context["balances"] = [(limit, balance(request.user, limit)) for limit in limits_of_day]
        context["day_ends"] = describe_moment(start_of_next_day())
    context["form"] = forms.get("form") or PreferencesForm(instance=request.user)
    given = forms.get("instructions_form")
    context["instructions_form"] = given or InstructionsForm(instructions=request.user.instructions)
    return render(request, "conversations/preferences.html", context, status=status)


@login_required
@require_POST
def theme(request: SignedInRequest) -> HttpResponse:
    """Change the theme alone, for the command palette."""
    form = ThemeForm(request.POST, instance=request.user)
    if not form.is_valid():
        return HttpResponseBadRequest("Choose one of the themes.")
    form.instance.save(update_fields=list(form.cleaned_data))
    return redirect_back(request, reverse("preferences"))


def _usage(user: User) -> list[Figure]:
    """Return the tokens of a person's last days, by model and by day; none if there are none. One query."""
    days = [site_day() - timedelta(days=ago) for ago in range(USAGE_DAYS)]
    by_day = {day: Counter[int]() for day in days}
    by_model: dict[str, Counter[int]] = {}
    for day, model, *tokens in DailyUsage.objects.filter(user=user).by_day_and_model(since=days[-1]):
        for counter in (by_day.setdefault(day, Counter()), by_model.setdefault(model, Counter())):
            counter.update(dict(enumerate(tokens)))
    if not by_model:
        return []
    used_most = sorted(by_model.items(), key=lambda pair: (-pair[1].total(), pair[0]))
    models = [(label_of(model) or "Not known", *_row(tokens)) for model, tokens in used_most]
    rows = [(date_format(day, "j M"), *_row(tokens)) for day, tokens in by_day.items()]
    return [
        Figure("usage-models", "By model", ("Model", *TOKEN_COLUMNS), models, 1),
        Figure("usage-days", "By day", ("Day", *TOKEN_COLUMNS), rows, 1),
    ]


def _row(tokens: Counter[int]) -> tuple[int, ...]:
    return tokens.total(), tokens[0], tokens[1], tokens[2]
