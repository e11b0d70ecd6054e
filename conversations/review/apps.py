from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Models, administration pages and commands of review. Its tables carry the label of the app `conversations`."""

    name = "conversations.review"

    def ready(self) -> None:
        from conversations.review import permission_changes  # noqa: F401  (registers signal receivers)
