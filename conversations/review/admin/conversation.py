from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conversations.models import Conversation
from conversations.models.conversation import parse_moment
from conversations.models.permissions import LIST, READ, full
from conversations.review.admin import figures, find, notice_delays, queue, reason, search, transcript
from conversations.review.admin.access import ReadOnlyAdmin


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """Conversations by their metadata. Titles are content and are not shown."""

    list_display = ("link", "owner", "created_at", "updated_at")
    list_display_links = None
    list_select_related = ("owner",)
    list_filter = ("updated_at",)
    allowed_lookups = ("updated_at__gte", "updated_at__lt")
    search_fields = ("owner__username", "owner__email")
    search_help_text = "Search by the owner's username or email address."
    ordering = ("-updated_at", "-id")
    sortable_by = ()
    show_full_result_count = False
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return Conversation.objects.reviewable_by(request.user).defer("title")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return super().lookup_allowed(lookup, value, request) and parse_moment(value) is not None

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return self.list_display if request.user.has_perm(full(READ)) else ("id", *self.list_display[1:])

    def has_view_permission(self, request: HttpRequest, obj: Conversation | None = None) -> bool:
        return request.user.has_perm(full(LIST))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(description="conversation")
    def link(self, conversation: Conversation) -> SafeString:
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:review_transcript", args=[conversation.pk]), conversation.pk
        )

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
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        # Django would show every column here.
        return redirect("admin:conversations_conversation_changelist")
