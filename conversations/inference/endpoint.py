"""Which model endpoint the settings name, and the one client of this process."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
from django.conf import settings

from chatsite.identity import identity
from conversations.inference import go_on, local

if TYPE_CHECKING:
    import openai

logger = logging.getLogger(__name__)

# The response body's time is `stream`'s to judge: it counts payloads, which no transport can.
TIMEOUT = httpx2.Timeout(connect=10, read=None, write=30, pool=10)
CONTEXT_TOKENS = 131_072  # what DeepSeek's V3 generation reads; the variable of this name says better


@dataclass(slots=True)
class Endpoint:
    """An open endpoint: everything a request needs. `close` when the process ends."""

    description: str
    authentication: str
    model: str
    context_tokens: int
    client: "openai.AsyncOpenAI"
    close_also: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    is_local: bool = False

    @property
    def completes_prefixes(self) -> bool:
        """Whether it goes on with an assistant's message that a request ends with, rather than begin another."""
        return settings.PREFIX_COMPLETION or self.is_local

    @property
    def _host(self) -> str:
        return urlsplit(str(self.client.base_url)).hostname or ""

    def create(self, **request: Any) -> Any:
        """Send a request: the SDK's `chat.completions.with_streaming_response.create`."""
        client = self.client
        if _is_at(self._host, "deepseek.com") and request["messages"][-1].get("prefix"):
            client = client.with_options(base_url=client.base_url.copy_with(path="/beta/"))  # it takes them there alone
        # As a part of the body that the SDK sends as it is: it would match each message against all the types that one
        # may have, which costs more than all the rest of a request, and with a long history holds up the event loop.
        body = {**request.get("extra_body", {}), "messages": request["messages"]}
        request |= {"messages": [], "extra_body": body}
        return client.chat.completions.with_streaming_response.create(**request)

    def request(
        self,
        messages: list[dict[str, str]],
        *,
        thinking: bool | None = None,
        going_on: bool = False,
        by_prefix: bool | None = None,
    ) -> dict[str, Any]:
        """Return the SDK's arguments for these messages, thinking, effort and limits as this endpoint takes them.

        `going_on`: the last message is an answer that was cut. The settings tell whether it thinks, and whether such an
        answer is completed as a prefix, unless `thinking` and `by_prefix` do.
        """
        host, extra = self._host, {}
        if going_on and (self.completes_prefixes if by_prefix is None else by_prefix):
            thinking = False  # what comes next belongs to the answer
            messages, extra = _prefix(host, messages)
        elif going_on:
            messages = [*messages, go_on.question(messages[-1]["content"])]
        if thinking is None and settings.THINKING:
            thinking = settings.THINKING == "on"
        if thinking is not None:
            extra |= _thinking(host, thinking)
        if self.is_local:
            extra |= local.request_fields(thinking=thinking is not False, going_on=going_on)
        request: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if settings.MAX_OUTPUT_TOKENS:
            # OpenAI's own reasoning models refuse the older name, which everything else understands.
            limit = "max_completion_tokens" if _is_at(host, "openai.com") else "max_tokens"
            request[limit] = settings.MAX_OUTPUT_TOKENS
        if settings.REASONING_EFFORT and thinking is not False:
            request["reasoning_effort"] = settings.REASONING_EFFORT
        if extra:
            request["extra_body"] = extra
        return request

    async def close(self) -> None:
        await self.client.close()
        for close in self.close_also:
            await close()


def name() -> str:
    """Return the model's name as people see it; '' when no endpoint is configured."""
    if settings.AZURE_INFERENCE_ENDPOINT:
        return settings.AZURE_DEEPSEEK_DEPLOYMENT
    if settings.OPENAI_MODEL:
        return settings.OPENAI_MODEL
    return local.MODEL if local.installed() else ""


def is_local() -> bool:
    """Tell whether the embedded model answers."""
    return not settings.AZURE_INFERENCE_ENDPOINT and not settings.OPENAI_MODEL and local.installed()


async def open_endpoint() -> Endpoint | None:
    """Open the configured endpoint, starting the embedded model if it is the one; None when there is none.

    Raises `local.LocalModelError` when the embedded model does not start.
    """
    if settings.AZURE_INFERENCE_ENDPOINT:
        return _azure()
    if settings.OPENAI_MODEL:
        base_url = settings.OPENAI_BASE_URL or "https://api.openai.com/v1"
        client = _client(base_url=base_url, api_key=settings.OPENAI_API_KEY or "none")
        authentication = "API key" if settings.OPENAI_API_KEY else "none"
        return Endpoint(
            base_url, authentication, settings.OPENAI_MODEL, settings.CONTEXT_TOKENS or CONTEXT_TOKENS, client
        )
    if not local.installed():
        return None
    model = local.LocalModel()
    await model.start()
    client = _client(base_url=model.base_url, api_key="none")
    return Endpoint(
        f"embedded model at {model.base_url}",
        "none",
        local.MODEL,
        settings.CONTEXT_TOKENS or local.CONTEXT_TOKENS,
        client,
        [model.stop],
        is_local=True,
    )


def azure_root(address: str) -> str:
    """Return the resource's address without what people copy along from documents and samples."""
    root = address.rstrip("/")
    for path in ("/openai/v1", "/models", "/openai"):
        root = root.removesuffix(path)
    return root.rstrip("/")


def _azure() -> Endpoint:
    """Open an Azure endpoint without any key: managed identity in production, the developer CLI's sign-in elsewhere."""

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
        settings.CONTEXT_TOKENS or CONTEXT_TOKENS,
        client,
    )


def _client(**arguments: Any) -> "openai.AsyncOpenAI":
    """Return the SDK's client; the one for Azure's classic routes where there is an `azure_endpoint`."""
    # Imported here, for it takes longer than all the rest of a command that asks no model.
    import openai

    # GENERATION_CONCURRENCY is the only limit. 0 is how aiohttp says that there is none; None would leave its 100.
    limits = httpx2.Limits(max_connections=0, keepalive_expiry=5)
    transport = openai.DefaultAioHttpClient(timeout=TIMEOUT, limits=limits)
    kind = openai.AsyncAzureOpenAI if "azure_endpoint" in arguments else openai.AsyncOpenAI
    return kind(max_retries=0, timeout=TIMEOUT, http_client=transport, **arguments)


def _is_at(host: str, *domains: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _prefix(host: str, messages: list[dict[str, str]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the messages and the request fields that have the last message completed, which no standard names.

    DeepSeek and Mistral mark the message; OpenRouter completes any assistant's message that comes last, and for Azure
    nothing else is documented. vLLM, SGLang and llama.cpp are told not to end it and not to begin another.
    """
    if _is_at(host, "deepseek.com", "mistral.ai"):
        return [*messages[:-1], messages[-1] | {"prefix": True}], {}
    if _is_at(host, "openrouter.ai", "azure.com"):
        return messages, {}
    return messages, {"continue_final_message": True, "add_generation_prompt": False}


def _thinking(host: str, on: bool) -> dict[str, Any]:
    """Return the request fields that switch thinking, which no standard names.

    api.deepseek.com and Azure's DeepSeek deployments document `thinking`, OpenRouter `reasoning`; vLLM, SGLang and
    llama.cpp pass `chat_template_kwargs` to the model's template, where Qwen reads `enable_thinking` and DeepSeek
    `thinking`. OpenAI's own models know efforts: `low` is the least that all of them take, and refuse other fields.
    """
    if _is_at(host, "deepseek.com", "azure.com"):
        return {"thinking": {"type": "enabled" if on else "disabled"}}
    if _is_at(host, "openrouter.ai"):
        return {"reasoning": {"enabled": on}}
    if _is_at(host, "openai.com"):
        return {} if on else {"reasoning_effort": "low"}
    return {"chat_template_kwargs": {"enable_thinking": on, "thinking": on}}
