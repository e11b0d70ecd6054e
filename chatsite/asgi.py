import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
django.setup(set_prefix=False)  # the imports below need it

from channels.routing import ProtocolTypeRouter  # noqa: E402

from chatsite.http import OneThreadHandler  # noqa: E402
from chatsite.request_limit import RequestLimit  # noqa: E402
from conversations.routing import websocket_application  # noqa: E402

limit = RequestLimit()
application = ProtocolTypeRouter({"http": OneThreadHandler(limit), "websocket": websocket_application(limit)})
