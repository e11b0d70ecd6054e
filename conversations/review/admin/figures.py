import csv

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from conversations.models.permissions import LIST
from conversations.review import figures
from conversations.review.admin import access
from conversations.review.export import cell
from conversations.review.models import Case

MOST_DAYS = 366


class PeriodForm(forms.Form):
    since = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and not 0 <= (until - since).days <= MOST_DAYS:
            raise forms.ValidationError(f"Choose an end date 0 to {MOST_DAYS} days after the start date.")


@access.may(LIST)
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show the figures of a period; without one of the last thirty days."""
    form = _period(request)
    found = figures.all_of(request.user, **form.cleaned_data) if form.is_valid() else []
    request.case = Case.objects.open_of(request.user).first()
    context = access.context(request, "Figures", form=form, figures=found, query=urlencode(form.data))
    return render(request, "review/admin/figures.html", context)


@access.may(LIST)
@require_safe
def table(request: HttpRequest, name: str) -> HttpResponse:
    """Send one figure's table as CSV."""
    form = _period(request)
    if not form.is_valid():
        raise Http404
    found = next((each for each in figures.all_of(request.user, **form.cleaned_data) if each.name == name), None)
    if found is None:
        raise Http404
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    writer = csv.writer(response)
    writer.writerow(found.head)
    writer.writerows([[cell(value) for value in row] for row in found.rows])
    return response


def _period(request: HttpRequest) -> PeriodForm:
    since, until = figures.last_days()
    return PeriodForm({"since": request.GET.get("since") or since, "until": request.GET.get("until") or until})
