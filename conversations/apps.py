from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "conversations"
    verbose_name = "Conversations"

    def ready(self) -> None:
        from conversations import accounts, checks  # noqa: F401  (they register what they define)
        from conversations.review import grants  # noqa: F401
