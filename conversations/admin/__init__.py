from conversations.admin import conversation, user

__all__ = ["conversation", "user"]
