from conversations.models.conversation import Conversation
from conversations.models.generation import Chunk, Generation, Kind, Status, Worker
from conversations.models.message import Message, Role
from conversations.models.user import User

__all__ = ["Chunk", "Conversation", "Generation", "Kind", "Message", "Role", "Status", "User", "Worker"]
