from django.http import HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from conversations.request import SignedInRequest


def redirect_back(request: SignedInRequest, default: str) -> HttpResponse:
    """Redirect to the page of this site that the form names as `next`, or else to `default`."""
    there = request.POST.get("next", "")
    return HttpResponseRedirect(there if url_has_allowed_host_and_scheme(there, allowed_hosts=None) else default)
