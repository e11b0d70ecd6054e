"""Import conversations from a file."""

from threading import BoundedSemaphore

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from conversations.importing import Report, import_file
from conversations.request import SignedInRequest

SECONDS = 120  # for one import, then the same file imports the rest. Proxies must wait longer: docs/operations.md
WAIT_SECONDS = 5.0
BUSY = "Somebody else is importing a file. Wait a minute, then import yours."

_importing = BoundedSemaphore(1)  # of this process: a conversation that is parsed can take much memory


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: SignedInRequest) -> HttpResponse:
    """Ask for a file; import the uploaded `file`, or only say what is in it if `preview` is 1; show a report."""
    if request.method != "POST":
        return _page(request)
    file = request.FILES.get("file")
    if file is None:
        messages.error(request, "Choose a file.")
        return _page(request, status=422)
    if not _importing.acquire(timeout=WAIT_SECONDS):
        messages.error(request, BUSY)
        return _page(request, status=503)
    try:
        preview = request.POST.get("preview") == "1"
        report = import_file(user=request.user, file=file, preview=preview, seconds=SECONDS)
    finally:
        _importing.release()
    return _page(request, report, file.name or "")


def _page(request: SignedInRequest, report: Report | None = None, name: str = "", status: int = 200) -> HttpResponse:
    if report and not report.conversations and not report.already_here and (report.stopped or report.skipped):
        status = 422
    context: dict[str, object] = {"report": report, "name": name}
    if report:  # as plain dicts: of a counter, templates would get "items" as a key
        context |= {"sources": dict(report.sources), "omitted": dict(report.omitted)}
    return render(request, "account/import.html", context, status=status)
