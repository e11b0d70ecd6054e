"""The administration's first page: the review queue for people who only review."""

from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from conversations.models import Conversation
from conversations.models.permissions import READ, full
from conversations.review import queue
from conversations.review.admin import access
from conversations.review.admin.access import ReviewRequest
from conversations.review.models import AuditEntry

OF_REVIEW = {Conversation, AuditEntry}  # the tables that a person who only reviews has in the administration

_index = admin.site.index


def index(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Redirect people who only review to the queue; show everyone else what they may do, with what is waiting."""
    if not request.user.has_perm(full(READ)):
        return _index(request, extra_context)
    tables = {table["model"] for app in admin.site.get_app_list(request) for table in app["models"]}
    if tables <= OF_REVIEW:
        return redirect("admin:review_queue")
    queue.refresh()
    return _index(request, (extra_context or {}) | access.waiting(cast(ReviewRequest, request)))


admin.site.index = index  # type: ignore[method-assign, assignment]
