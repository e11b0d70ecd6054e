from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "conversations.accounts"

    def ready(self) -> None:
        from conversations.accounts import factors, notifications, sessions  # noqa: F401  (registers signal receivers)
