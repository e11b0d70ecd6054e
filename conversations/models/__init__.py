from conversations.models.audit import Act, AuditEntry
from conversations.models.conversation import Conversation
from conversations.models.generation import Chunk, Generation, Kind, Status, Worker
from conversations.models.message import Message, Role
from conversations.models.review import Case
from conversations.models.user import User

__all__ = [
    "Act",
    "AuditEntry",
    "Case",
    "Chunk",
    "Conversation",
    "Generation",
    "Kind",
    "Message",
    "Role",
    "Status",
    "User",
    "Worker",
]
