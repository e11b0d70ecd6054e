"""The proxy of compose.yaml as a process."""

import os
import subprocess
from pathlib import Path

from tests.parts import PROXY
from tests.ports import unused_port
from tests.site import ROOT, WAIT


class Caddy:
    """Caddy with the project's configuration, in front of `replicas` (host:port)."""

    def __init__(self, folder: Path, replicas: list[str], config: Path = ROOT / "deploy/Caddyfile") -> None:
        port = unused_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [PROXY.find(), "run", "--adapter", "caddyfile", "--config", config]
        variables = {"SITE_ADDRESS": f"http://:{port}", "REPLICAS": " ".join(replicas), "HOME": str(folder)}
        self.process = subprocess.Popen(
            command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in self.process.stdout:
            if "serving initial configuration" in line:
                break

    def stop(self) -> str:
        """End the process; return what it has logged since it began to serve."""
        self.process.terminate()
        return self.process.communicate(timeout=WAIT)[0]
