"""The definition of the API, which is the same for everyone."""

from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

OPENAPI = (Path(__file__).parent / "openapi.json").read_bytes()


@csrf_exempt
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(OPENAPI, content_type="application/json")
