from datetime import date, timedelta

from django import forms
from django.core.validators import MaxValueValidator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from conversations.models.permissions import LIST
from conversations.review import figures
from conversations.review.admin import access
from conversations.review.admin.access import ReviewRequest
from conversations.review.export import csv_line

MAX_DAYS = 366
LAST_DAY = date.max - timedelta(days=1)  # a period ends on the day after


class PeriodForm(forms.Form):
    since = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(
        label="To", widget=forms.DateInput(attrs={"type": "date"}), validators=[MaxValueValidator(LAST_DAY)]
    )

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and not 0 <= (until - since).days <= MAX_DAYS:
            raise forms.ValidationError(f"Choose an end date 0 to {MAX_DAYS} days after the start date.")


@access.require_permission(LIST)
@require_safe
def show(request: ReviewRequest) -> HttpResponse:
    """Show the figures of a period, by default of the last thirty days."""
    form = _period_form(request)
    built = figures.build(request.user, **form.cleaned_data) if form.is_valid() else []
    query, zone = urlencode(form.data), timezone.get_default_timezone_name()
    context = access.context(request, "Figures", form=form, figures=built, query=query, zone=zone)
    return render(request, "review/admin/figures.html", context)


@access.require_permission(LIST)
@require_safe
def download(request: ReviewRequest, name: str) -> HttpResponse:
    """Return one figure's table as CSV."""
    form = _period_form(request)
    built = figures.build(request.user, **form.cleaned_data) if form.is_valid() else []
    figure = next((figure for figure in built if figure.name == name), None)
    if figure is None:
        raise Http404
    lines = [csv_line(row) for row in (figure.columns, *figure.rows)]
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return HttpResponse("".join(lines), content_type="text/csv; charset=utf-8", headers=headers)


def _period_form(request: ReviewRequest) -> PeriodForm:
    since, until = figures.last_days()
    return PeriodForm({"since": request.GET.get("since") or since, "until": request.GET.get("until") or until})
