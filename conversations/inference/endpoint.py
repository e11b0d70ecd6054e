"""The model endpoint that the settings name, and this process's client of it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
from django.conf import settings

from chatsite.identity import identity
from conversations.inference import local
from conversations.inference.continuation import continuation_message
from conversations.inference.errors import (
    ContextTooLong,
    InferenceError,
    NotText,
    RequestRejected,
    TooFewTokens,
    ToolCalled,
    Unreachable,
)
from conversations.inference.prompt import ANSWER_SHARE
from conversations.models import Status

if TYPE_CHECKING:
    import openai

OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")
# Fields of a request that it can do without.
OPTIONAL_FIELDS = ("reasoning_effort", "stream_options", "thinking", "reasoning", "chat_template_kwargs")
CONTEXT_TOKENS = 131_072  # of DeepSeek's V3 generation, unless the variable of this name is set


@dataclass(slots=True)
class Endpoint:
    """An open endpoint: everything that a request needs. `description` and `authentication` are for people.

    `local_model` is the embedded model's process. It has to be started, and `close` stops it.
    """

    description: str
    authentication: str
    model: str
    context_tokens: int
    client: "openai.AsyncOpenAI"
    is_local: bool = False
    local_model: local.LocalModel | None = None
    failure: str = ""  # the name of the last answer's error, if that was the endpoint's

    @property
    def completes_prefixes(self) -> bool:
        """Whether it continues an assistant message at the end of a request, rather than begin a new one."""
        return self.is_local or bool(settings.PREFIX_COMPLETION)

    @property
    def _host(self) -> str:
        return urlsplit(str(self.client.base_url)).hostname or ""

    @property
    def problem(self) -> str:
        """What keeps it from answering, for operators; empty if nothing is known."""
        if self.local_model and not self.local_model.is_running:
            return "the embedded model is not running"
        return f"the last answer failed: {self.failure}" if self.failure else ""

    def note_end(self, error: InferenceError | None) -> None:
        """Remember how an answer ended. Errors that concern the question or the answer are none of the endpoint."""
        works = (
            error is None
            or error.status != Status.FAILED
            or isinstance(error, ContextTooLong | ToolCalled | NotText | TooFewTokens)
        )
        self.failure = "" if works else type(error).__name__

    @asynccontextmanager
    async def create(self, **request: Any) -> AsyncIterator["openai.AsyncAPIResponse[Any]"]:
        """Send a request with the SDK when the context is entered, and return its streaming response.

        Waits for the embedded model if that is starting. Raises `Unreachable` if it does not start in time.
        """
        client = self.client
        if self.local_model:
            try:
                client.base_url = await self.local_model.address()
            except local.LocalModelError as error:
                raise Unreachable(str(error)) from error
        if _is_at(self._host, "deepseek.com") and request["messages"][-1].get("prefix"):
            # DeepSeek completes prefixes only there.
            client = client.with_options(base_url=client.base_url.copy_with(path="/beta/"))
        # The SDK sends `extra_body` as it is. It would compare each of `messages` with every type that a message may
        # have, which costs more than the rest of a request, and blocks the event loop if the history is long.
        body = {**request.get("extra_body", {}), "messages": request["messages"]}
        request |= {"messages": [], "extra_body": body}
        async with client.chat.completions.with_streaming_response.create(**request) as response:
            yield response

    def request(
        self,
        messages: list[dict[str, str]],
        *,
        thinking: bool | None = None,
        continuing: bool = False,
        as_prefix: bool | None = None,
        output_tokens: int | None = None,
    ) -> dict[str, Any]:
        """Return the arguments of `create` for `messages`, with thinking, effort and limits in this endpoint's form.

        `continuing`: the last message is an answer that was cut, and is to be continued. `thinking`, `as_prefix`
        (complete such an answer as a prefix) and `output_tokens` (the limit of reasoning and answer) override the
        settings.
        """
        host = self._host
        extra: dict[str, Any] = {}
        if continuing and (self.completes_prefixes if as_prefix is None else as_prefix):
            thinking = False  # the next token belongs to the answer
            messages, extra = _prefix(host, messages)
        elif continuing:
            messages = [*messages, continuation_message(messages[-1]["content"])]
        if thinking is None and settings.THINKING:
            thinking = settings.THINKING == "on"
        if thinking is not None:
            extra |= _thinking(host, thinking)
        if self.is_local:
            extra |= local.request_fields(thinking=thinking is not False, continuing=continuing)
        request: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if output_tokens := output_tokens or settings.MAX_OUTPUT_TOKENS:
            # OpenAI's own reasoning models refuse the older name; other endpoints may not know the newer one.
            limit = "max_completion_tokens" if _is_at(host, "openai.com") else "max_tokens"
            request[limit] = output_tokens
        if settings.REASONING_EFFORT and thinking is not False:
            request["reasoning_effort"] = settings.REASONING_EFFORT
        if extra:
            request["extra_body"] = extra
        return request

    def without_refused(self, request: dict[str, Any], error: InferenceError) -> tuple[str, dict[str, Any]] | None:
        """Return the optional field that the endpoint refuses, as `error` says, and `request` without it.

        None if it names no such field of the request. A field that switches thinking off is not optional, nor is the
        output limit that the operator has set; another one may be more than the model allows.
        """
        if not isinstance(error, RequestRejected):
            return None
        extra, switch = request.get("extra_body", {}), _thinking(self._host, on=False)
        required = {name for name, value in switch.items() if extra.get(name) == value}
        places = {
            place: name
            for name in (*OPTIONAL_FIELDS, *(() if settings.MAX_OUTPUT_TOKENS else OUTPUT_LIMITS))
            if (name in request or name in extra) and name not in required
            if (place := _place(name, error.message)) is not None
        }
        if not places:
            return None
        refused = places[min(places)]
        body = {name: value for name, value in request.items() if name not in (refused, "extra_body")}
        extra = {name: value for name, value in extra.items() if name != refused}
        return refused, body | ({"extra_body": extra} if extra else {})

    async def close(self) -> None:
        await self.client.close()
        if self.local_model:
            await self.local_model.stop()


def name() -> str:
    """Return the model's name as people see it; empty if no endpoint is configured."""
    if settings.AZURE_INFERENCE_ENDPOINT:
        return str(settings.AZURE_DEEPSEEK_DEPLOYMENT)
    if settings.OPENAI_MODEL:
        return str(settings.OPENAI_MODEL)
    return local.MODEL if local.installed() else ""


def context_tokens() -> int:
    """Return the size of the model's context."""
    return int(settings.CONTEXT_TOKENS) or (local.CONTEXT_TOKENS if is_local() else CONTEXT_TOKENS)


def output_tokens() -> int:
    """Return the limit of an answer with its reasoning that fits any model: the setting, or a share of the context."""
    return int(settings.MAX_OUTPUT_TOKENS) or context_tokens() // ANSWER_SHARE


def is_local() -> bool:
    """Return whether the embedded model is the endpoint."""
    return not settings.AZURE_INFERENCE_ENDPOINT and not settings.OPENAI_MODEL and local.installed()


async def open_endpoint() -> Endpoint | None:
    """Open the configured endpoint; None if there is none. The embedded model is not started yet."""
    if settings.AZURE_INFERENCE_ENDPOINT:
        return _azure()
    if settings.OPENAI_MODEL:
        base_url = settings.OPENAI_BASE_URL or "https://api.openai.com/v1"
        client = _client(base_url=base_url, api_key=settings.OPENAI_API_KEY or "none")
        authentication = "API key" if settings.OPENAI_API_KEY else "none"
        return Endpoint(base_url, authentication, settings.OPENAI_MODEL, context_tokens(), client)
    if not local.installed():
        return None
    return Endpoint(
        "embedded model",
        "none",
        local.MODEL,
        context_tokens(),
        _client(base_url="http://127.0.0.1", api_key="none"),  # with a new port after each start of the model
        is_local=True,
        local_model=local.LocalModel(),
    )


def azure_root(address: str) -> str:
    """Return the address of the Azure resource without the paths that people copy from documents and samples."""
    root = address.rstrip("/")
    for path in ("/openai/v1", "/models", "/openai"):
        root = root.removesuffix(path)
    return root.rstrip("/")


def _azure() -> Endpoint:
    """Open an Azure endpoint without a key: with the managed identity, or the Azure developer CLI's sign-in."""

    async def token() -> str:
        return (await identity.atoken(settings.AZURE_TOKEN_SCOPE)).text

    root = azure_root(settings.AZURE_INFERENCE_ENDPOINT)
    if settings.AZURE_API_VERSION:
        client = _client(
            azure_endpoint=root,
            azure_deployment=settings.AZURE_DEEPSEEK_DEPLOYMENT,
            api_version=settings.AZURE_API_VERSION,
            azure_ad_token_provider=token,
        )
    else:
        client = _client(base_url=f"{root}/openai/v1/", api_key=token)
    return Endpoint(
        str(client.base_url),
        f"{identity.description}, scope {settings.AZURE_TOKEN_SCOPE}",
        settings.AZURE_DEEPSEEK_DEPLOYMENT,
        context_tokens(),
        client,
    )


def _client(**arguments: Any) -> "openai.AsyncOpenAI":
    """Return the SDK's client; the one for Azure's classic routes if there is an `azure_endpoint`.

    Its timeouts are those of the transport and of `stream`, its retries those of `stream`.
    """
    # Imported late, for commands that ask no model start in a third of the time without them.
    import openai

    from conversations.inference.transport import AiohttpTransport

    kind = openai.AsyncAzureOpenAI if "azure_endpoint" in arguments else openai.AsyncOpenAI
    http_client = httpx2.AsyncClient(transport=AiohttpTransport(), timeout=None, follow_redirects=True)
    return kind(http_client=http_client, timeout=None, max_retries=0, **arguments)


def _is_at(host: str, *domains: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _place(name: str, message: str) -> int | None:
    """Return where a message names a field, also as reasoningEffort for reasoning_effort; None if it does not."""
    found = re.search(rf"\b{name.replace('_', '_?')}\b", message, re.IGNORECASE)
    return found.start() if found else None


def _prefix(host: str, messages: list[dict[str, str]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the messages and request fields that ask for a completion of the last message. There is no standard.

    DeepSeek and Mistral want a mark on the message. OpenRouter completes any assistant message at the end, and for
    Azure nothing else is documented. vLLM, SGLang and llama.cpp take fields for their chat template.
    """
    if _is_at(host, "deepseek.com", "mistral.ai"):
        return [*messages[:-1], messages[-1] | {"prefix": True}], {}
    if _is_at(host, "openrouter.ai", "azure.com"):
        return messages, {}
    return messages, {"continue_final_message": True, "add_generation_prompt": False}


def _thinking(host: str, on: bool) -> dict[str, Any]:
    """Return the request fields that switch thinking on or off. There is no standard.

    api.deepseek.com and Azure's DeepSeek deployments document `thinking`, OpenRouter `reasoning`; vLLM, SGLang and
    llama.cpp pass `chat_template_kwargs` to the model's template, where Qwen reads `enable_thinking` and DeepSeek
    `thinking`. OpenAI's own models refuse other fields than efforts; `low` is the least that all of them take.
    """
    if _is_at(host, "deepseek.com", "azure.com"):
        return {"thinking": {"type": "enabled" if on else "disabled"}}
    if _is_at(host, "openrouter.ai"):
        return {"reasoning": {"enabled": on}}
    if _is_at(host, "openai.com"):
        return {} if on else {"reasoning_effort": "low"}
    return {"chat_template_kwargs": {"enable_thinking": on, "thinking": on}}
