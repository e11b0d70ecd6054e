"""A TCP proxy for tests of a network that drops packets or is cut."""

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections to `target`, until `mute` or `cut` is called."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._is_cut = False
        self._ends: list[socket.socket] = []
        self._muted: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def mute(self) -> None:
        """Drop all data on the connections that are open now. Later connections work."""
        self._muted.update(self._ends)

    def cut(self) -> None:
        """Close the connections that are open now and, until `heal`, each new one."""
        self._is_cut = True
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):  # its peer has closed it
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def heal(self) -> None:
        self._is_cut = False

    def on_data(self, source: socket.socket, data: bytes) -> None:
        """Called with the data received from one end; subclasses can inspect it."""

    def close(self) -> None:
        self._listener.close()
        for end in list(self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            if self._is_cut:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._ends += (client, server)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.on_data(source, data)
                if source not in self._muted:
                    sink.sendall(data)
            if source not in self._muted:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            return  # one end is closed
