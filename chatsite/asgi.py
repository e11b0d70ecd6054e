import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
http_application = get_asgi_application()  # sets Django up: the imports below need it

from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.core.signals import request_finished  # noqa: E402
from django.db import connections  # noqa: E402

from conversations.routing import websocket_application  # noqa: E402

# A request's thread ends with it, and takes no connection along by itself.
request_finished.connect(lambda **_: connections.close_all(), weak=False)

application = ProtocolTypeRouter({"http": http_application, "websocket": websocket_application})
