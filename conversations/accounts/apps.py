from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "conversations.accounts"

    def ready(self) -> None:
        # They register signal receivers.
        from conversations.accounts import factors, notifications, sessions, usage  # noqa: F401
