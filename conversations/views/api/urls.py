from django.urls import path

from conversations.models import Scope
from conversations.views.api import conversations, documentation, questions
from conversations.views.api.resources import not_found, resource

READ, EXPORT, ASK = Scope.READ, Scope.EXPORT, Scope.ASK

app_name = "api"
urlpatterns = [
    path("", resource(get=(None, conversations.describe)), name="token"),
    path("openapi.json", documentation.openapi, name="openapi"),
    path("models/", resource(get=(None, conversations.list_models)), name="models"),
    path("search/", resource(get=(READ, conversations.search)), name="search"),
    path(
        "conversations/",
        resource(get=(READ, conversations.list_conversations), post=(ASK, questions.start_conversation)),
        name="conversations",
    ),
    path("conversations/<uuid:pk>/", resource(get=(READ, conversations.read_conversation)), name="conversation"),
    path("conversations/<uuid:pk>/messages/", resource(post=(ASK, questions.ask)), name="messages"),
    path("conversations/<uuid:pk>/export/", resource(get=(EXPORT, conversations.export_conversation)), name="export"),
    path("attachments/", resource(post=(ASK, questions.upload)), name="attachments"),
    path("generations/<int:pk>/", resource(get=(ASK, questions.read_generation)), name="generation"),
    path("generations/<int:pk>/stop/", resource(post=(ASK, questions.stop)), name="stop"),
    path("generations/<int:pk>/stream/", resource(get=(ASK, questions.stream)), name="stream"),
    path("<path:rest>", not_found),
]
