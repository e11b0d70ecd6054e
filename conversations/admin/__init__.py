from conversations.admin import audit, conversation, user

__all__ = ["audit", "conversation", "user"]
