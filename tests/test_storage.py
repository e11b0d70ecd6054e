"""The storage of files on real servers: a folder, S3 (moto) and Azure Blob Storage (Azurite), on loopback."""

import gc
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from environs.exceptions import EnvError

from chatsite.settings import storage_of
from conversations import storage
from conversations.models import StoredFile
from tests.cloud import BLOBS, Cloud, make_certificate
from tests.parts import AZURITE
from tests.ports import unused_port
from tests.site import WAIT

CONTENT = b"The secret is 42. " * 10_000


def check_storage() -> None:
    """Write, read and delete as the site does."""
    stored = StoredFile(key=uuid.uuid4(), size=len(CONTENT))
    storage.write(stored, ContentFile(CONTENT), b"picture")
    assert storage.file_size(stored.file_name) == len(CONTENT)
    with storage.open_file(stored.file_name) as file:
        assert b"".join(file.chunks()) == CONTENT
    assert storage.read_picture(stored) == b"picture"
    storage.delete(stored)
    storage.delete(stored)  # again, after a process has died in between
    assert storage.file_size(stored.file_name) is storage.file_size(stored.picture_name) is None
    with pytest.raises(storage.StorageError):
        storage.open_file(stored.file_name)
    with pytest.raises(storage.StorageError):
        storage.read_picture(stored)
    threads = set()

    def parts() -> Iterator[bytes]:
        for part in (b"", b"a", CONTENT):
            threads.add(threading.get_ident())
            yield part

    assert storage.write_stream("archives/x", parts()) == len(CONTENT) + 1 == storage.file_size("archives/x")
    assert threads == {threading.get_ident()}  # in another one, they would leave a connection to the database open
    with storage.open_file("archives/x") as file:
        assert b"".join(file.chunks()) == b"a" + CONTENT
    storage.delete_files(["archives/x", "archives/x"])
    assert storage.file_size("archives/x") is None


def use(settings: Any, url: str) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": storage_of(url)}


def await_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server has not started")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket."""
    port = unused_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    variables = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", "AWS_REGION": "us-east-1"}
    variables |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    await_port(port, process)
    yield "s3://site-files"
    process.kill()
    process.wait()


def test_a_folder(settings, tmp_path: Path):
    use(settings, f"file://{tmp_path}/with%20space")
    check_storage()
    assert (tmp_path / "with space").is_dir()


@pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")
def test_s3(settings, s3: str):
    use(settings, s3)
    with pytest.raises(storage.StorageError):  # there is no such bucket
        storage.write(StoredFile(key=uuid.uuid4()), ContentFile(b"x"))
    default_storage.connection.create_bucket(Bucket="site-files")
    check_storage()
    part = b"x" * 2**20
    assert (
        storage.write_stream("archives/large", iter([part] * 66)) == storage.file_size("archives/large") == 66 * 2**20
    )


@pytest.fixture
def blobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: Cloud) -> Iterator[str]:
    """The URL of a container, in an account that accepts only the site's tokens, for as long as they are valid."""
    host, port = "devstoreaccount1.blob.localhost", unused_port()
    certificate = tmp_path / "azurite.pem"
    certificate.write_text(make_certificate(host))
    command = [AZURITE.find(), "--oauth", "basic", "--cert", certificate, "--key", certificate, "--location", tmp_path]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck", "--disableTelemetry"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lookup = socket.getaddrinfo
    # Systems resolve names below localhost themselves (RFC 6761), but not all do.
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda name, *args, **kw: lookup(name.replace(host, "127.0.0.1"), *args, **kw)
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    await_port(port, process)
    yield f"azure://{host}:{port}/files"
    process.kill()
    process.wait()


@pytest.mark.azurite
@pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves files open
def test_azure_with_tokens_that_expire(settings, cloud: Cloud, blobs: str):
    cloud.seconds = 3
    use(settings, blobs)
    default_storage.client.create_container()
    check_storage()
    old = cloud.tokens(BLOBS)
    cloud.let_expire()
    check_storage()
    assert cloud.tokens(BLOBS)[len(old) :]
    cloud.let_expire()
    cloud.status = 500
    with pytest.raises(storage.StorageError, match="NoToken"):
        storage.file_size("files/x")
    gc.collect()


URLS = "ftp://a/b file://host/path file:/// azure://Account/files azure://account s3://bucket/folder s3://key:secret@bucket"


@pytest.mark.parametrize("url", URLS.split())
def test_a_storage_that_cannot_be_meant_stops_the_start(url: str):
    with pytest.raises(EnvError, match='Environment variable "STORAGE_URL" invalid'):
        storage_of(url)
