from typing import cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path

from conversations.models import Conversation
from conversations.models.permissions import LIST, full
from conversations.review.admin import figures, files, find, notice_delays, queue, reason, search, shares, transcript
from conversations.review.admin.access import ReadOnlyAdmin, ReviewRequest

FILE = "<uuid:pk>/transcript/files/<uuid:file>/"


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """Conversations, which pages of review show. Titles are content and are in no list."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return Conversation.objects.reviewable_by(request.user).defer("title")

    def has_view_permission(self, request: HttpRequest, obj: Conversation | None = None) -> bool:
        return request.user.has_perm(full(LIST))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("reason/", view(reason.ask), name="review_reason"),
            path("find/", view(find.find), name="review_find"),
            path("find/export/", view(find.export), name="review_export"),
            path("figures/", view(figures.show), name="review_figures"),
            path("figures/<slug:name>.csv", view(figures.download), name="review_figure_csv"),
            path("search/", view(search.search), name="review_search"),
            path("queue/", view(queue.index), name="review_queue"),
            path("queue/<int:pk>/take/", view(queue.claim), name="review_claim"),
            path("queue/<int:pk>/resolve/", view(queue.resolve), name="review_resolve"),
            path("queue/<int:pk>/<str:direction>/", view(queue.step), name="review_step"),
            path("holds/", view(notice_delays.index), name="review_notice_delays"),
            path("holds/<int:pk>/", view(notice_delays.approve), name="review_approve_delay"),
            path("reason/end/", view(reason.close_case), name="review_close_case"),
            path("<uuid:pk>/transcript/", view(transcript.show), name="review_transcript"),
            path("<uuid:pk>/transcript/<int:message>/", view(transcript.read), name="review_reasoning"),
            path("<uuid:pk>/transcript/shares/<uuid:share>/end/", view(shares.end), name="review_end_share"),
            path(FILE, view(files.download), name="review_attachment"),
            path(f"{FILE}preview/", view(files.preview), name="review_attachment_preview"),
            path(f"{FILE}picture/", view(files.picture), name="review_attachment_picture"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, str] | None = None) -> HttpResponse:
        return cast(HttpResponse, find.find(cast(ReviewRequest, request)))

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        # Django would show every column here.
        return redirect("admin:conversations_conversation_changelist")
