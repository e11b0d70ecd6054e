from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "conversations.accounts"

    def ready(self) -> None:
        from conversations.accounts import sessions  # noqa: F401  (registers signal receivers)
