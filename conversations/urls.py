from django.urls import path

from conversations.accounts import views as account_views
from conversations.review import views as review_views
from conversations.views import (
    compare,
    conversations,
    details,
    feedback,
    messages,
    preferences,
    reasoning,
    search,
    whole,
)

urlpatterns = [
    path("", conversations.new, name="new"),
    path("conversations/", conversations.index, name="conversations"),
    path("conversations/<uuid:pk>/", conversations.show, name="conversation"),
    path("conversations/<uuid:pk>/messages/", messages.send, name="send"),
    path("conversations/<uuid:pk>/rename/", conversations.rename, name="rename"),
    path("conversations/<uuid:pk>/delete/", conversations.delete, name="delete"),
    path("messages/<int:pk>/retry/", messages.regenerate, name="retry"),
    path("messages/<int:pk>/regenerate/", messages.regenerate, name="regenerate"),
    path("messages/<int:pk>/edit/", messages.edit, name="edit"),
    path("messages/<int:pk>/continue/", messages.continue_answer, name="continue"),
    path("messages/<int:pk>/reasoning/", reasoning.show, name="reasoning"),
    path("messages/<int:pk>/whole/", whole.show, name="whole"),
    path("messages/<int:pk>/compare/<int:other>/", compare.show, name="compare"),
    path("messages/<int:pk>/details/", details.show, name="details"),
    path("messages/<int:pk>/markdown/", details.copy, {"form": "markdown"}, name="markdown"),
    path("messages/<int:pk>/text/", details.copy, {"form": "text"}, name="text"),
    path("messages/<int:pk>/rate/", feedback.rate, name="rate"),
    path("messages/<int:pk>/feedback/", feedback.edit, name="feedback"),
    path("messages/<int:pk>/select/", messages.select, name="select"),
    path("generations/<int:pk>/stop/", messages.stop, name="stop"),
    path("generations/<int:pk>/answer-now/", messages.answer_now, name="answer-now"),
    path("generations/<int:pk>/take-back/", messages.cancel, name="cancel"),
    path("search/", search.search, name="search"),
    path("palette/", search.palette, name="palette"),
    path("preferences/", preferences.edit, name="preferences"),
    path("preferences/theme/", preferences.theme, name="theme"),
    path("account/delete/", account_views.delete, name="delete_account"),
    path("reviews/", review_views.index, name="reviews"),
    path("privacy/", review_views.privacy, name="privacy"),
]
