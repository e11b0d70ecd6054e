from conversations.models.attachment import Attachment, FileState, StoredFile
from conversations.models.conversation import Conversation
from conversations.models.feedback import Feedback, Rating
from conversations.models.generation import Chunk, Depth, Generation, Kind, Status, Worker
from conversations.models.instructions import Instructions
from conversations.models.legal_hold import LegalHold
from conversations.models.message import Message, Role
from conversations.models.site import Site
from conversations.models.stored_text import StoredText
from conversations.models.usage import DailyUsage
from conversations.models.user import User

__all__ = [
    "Attachment",
    "Chunk",
    "Conversation",
    "DailyUsage",
    "Depth",
    "Feedback",
    "FileState",
    "Generation",
    "Instructions",
    "Kind",
    "LegalHold",
    "Message",
    "Rating",
    "Role",
    "Site",
    "Status",
    "StoredFile",
    "StoredText",
    "User",
    "Worker",
]
