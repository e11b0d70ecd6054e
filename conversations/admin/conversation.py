import uuid

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from conversations.models import Conversation
from conversations.rendering import fragments


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):
    """Conversations, to find and to read; nothing here changes them."""

    list_display = ("title_link", "owner", "created_at", "updated_at")
    list_display_links = None
    list_select_related = ("owner",)
    search_fields = ("title", "owner__username", "owner__email")
    date_hierarchy = "updated_at"
    ordering = ("-updated_at",)
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Conversation | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Conversation | None = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django lets any local field be probed by query string; a search by guess is none of this list's business.
        return lookup.startswith("updated_at__")

    @admin.display(description="title", ordering="title")
    def title_link(self, conversation: Conversation) -> str:
        url = reverse("admin:conversations_conversation_transcript", args=[quote(conversation.pk)])
        return format_html('<a href="{}">{}</a>', url, conversation.title)

    def get_urls(self) -> list[URLPattern]:
        transcript = self.admin_site.admin_view(self.transcript)
        name = "conversations_conversation_transcript"
        return [path("<uuid:pk>/transcript/", transcript, name=name), *super().get_urls()]

    def transcript(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        conversation = get_object_or_404(Conversation.objects.select_related("owner"), pk=pk)
        context = {
            **self.admin_site.each_context(request),
            "title": "Transcript",
            "opts": self.opts,
            "conversation": conversation,
            "entries": fragments.entries(conversation.thread(), readonly=True),
        }
        return render(request, "admin/conversations/conversation/transcript.html", context)
