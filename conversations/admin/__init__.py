from conversations.admin import audit, conversation, queue, user

__all__ = ["audit", "conversation", "queue", "user"]
