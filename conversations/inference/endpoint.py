"""The endpoints and models of this process: one client per endpoint, and what a request to each model contains."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
from django.conf import settings

from chatsite.identity import identity
from conversations.inference import dialects, local
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
from conversations.inference.registry import EndpointSettings, Model, Reasoning, is_at
from conversations.models import Status

if TYPE_CHECKING:
    import openai

OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")
# Fields of a request that it can do without.
OPTIONAL_FIELDS = ("reasoning_effort", "stream_options", "thinking", "reasoning", "chat_template_kwargs")


@dataclass(slots=True)
class Endpoint:
    """An open endpoint, which its models share. `description` and `authentication` are for people.

    `local_model` is the embedded model's process. It has to be started, and `close` stops it.
    """

    description: str
    authentication: str
    client: "openai.AsyncOpenAI"
    local_model: local.LocalModel | None = None

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
        if request["messages"][-1].get("prefix") and is_at(str(client.base_url), "deepseek.com"):
            # DeepSeek completes prefixes only there.
            client = client.with_options(base_url=client.base_url.copy_with(path="/beta/"))
        # The SDK sends `extra_body` as it is. It would compare each of `messages` with every type that a message may
        # have, which costs more than the rest of a request, and blocks the event loop if the history is long.
        body = {**request.get("extra_body", {}), "messages": request["messages"]}
        request |= {"messages": [], "extra_body": body}
        async with client.chat.completions.with_streaming_response.create(**request) as response:
            # The response refers to its request, and would keep the body with all images in memory until it ends.
            sent = response.http_response.request
            response.http_response.request = httpx2.Request(sent.method, sent.url, headers=sent.headers)
            del sent
            yield response

    async def close(self) -> None:
        await self.client.close()
        if self.local_model:
            await self.local_model.stop()


@dataclass(slots=True)
class OpenModel:
    """A model of the registry at its open endpoint: everything that a request needs."""

    model: Model
    endpoint: Endpoint
    failure: str = ""  # the name of the last answer's error, if that was the endpoint's

    @property
    def completes_prefixes(self) -> bool:
        """Whether it continues an assistant message at the end of a request, rather than begin a new one."""
        return self.model.profile.prefix_completion

    @property
    def problem(self) -> str:
        """What keeps it from answering, for operators; empty if nothing is known."""
        local_model = self.endpoint.local_model
        if local_model and not local_model.is_running:
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

    def request(
        self,
        messages: list[dict[str, str]],
        *,
        depth: str = "",
        thinking: bool | None = None,
        continuing: bool = False,
        as_prefix: bool | None = None,
        output_tokens: int | None = None,
    ) -> dict[str, Any]:
        """Return the arguments of `Endpoint.create` for `messages`, with depth and limits in the endpoint's form.

        `continuing`: the last message is an answer that was cut, and is to be continued. `thinking` overrides the
        depth, `as_prefix` (complete such an answer as a prefix) and `output_tokens` (the limit of reasoning and answer)
        override the profile.
        """
        profile = self.model.profile
        wanted = self.model.reasoning(depth)
        if thinking is not None:
            wanted = Reasoning(thinking, wanted.effort)
        extra: dict[str, Any] = {}
        if continuing and (self.completes_prefixes if as_prefix is None else as_prefix):
            wanted = Reasoning(thinking=False)  # the next token belongs to the answer
            messages, extra = dialects.prefix(profile.dialect, messages)
        elif continuing:
            messages = [*messages, continuation_message(messages[-1]["content"])]
        if wanted.thinking is not None:
            extra |= dialects.thinking_fields(profile, wanted.thinking, wanted.effort)
        if self.model.is_embedded:
            extra |= local.request_fields(thinking=wanted.thinking is not False, continuing=continuing)
        request: dict[str, Any] = {
            "model": self.model.name,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if output_tokens := output_tokens or profile.max_output_tokens:
            request[dialects.limit_field(profile.dialect)] = output_tokens
        if wanted.effort and wanted.thinking is not False:
            effort = dialects.effort_fields(profile, wanted.effort)
            if "reasoning_effort" in effort:
                request |= effort
            else:
                extra |= effort
        if extra:
            request["extra_body"] = extra
        return request

    def without_refused(
        self, request: dict[str, Any], error: InferenceError, *, may_think: bool = False
    ) -> tuple[str, dict[str, Any]] | None:
        """Return the optional field that the endpoint refuses, as `error` says, and `request` without it.

        None if it names no such field of the request. A field that switches thinking off is optional only if the model
        `may_think` all the same. The output limit is not if the operator has set it; another one may be more than the
        model allows.
        """
        if not isinstance(error, RequestRejected):
            return None
        profile = self.model.profile
        extra, may_think = request.get("extra_body", {}), may_think or profile.thinking == "always"
        switch = {} if may_think else dialects.thinking_fields(profile, on=False)
        required = {name for name, value in switch.items() if extra.get(name) == value}
        places = {
            place: name
            for name in (*OPTIONAL_FIELDS, *(() if profile.max_output_tokens else OUTPUT_LIMITS))
            if (name in request or name in extra) and name not in required
            if (place := _place(name, error.message)) is not None
        }
        if not places:
            return None
        refused = places[min(places)]
        body = {name: value for name, value in request.items() if name not in (refused, "extra_body")}
        extra = {name: value for name, value in extra.items() if name != refused}
        return refused, body | ({"extra_body": extra} if extra else {})


class OpenModels:
    """The models that this process can ask, by their ids, and their endpoints."""

    def __init__(self, models: Mapping[str, OpenModel], endpoints: Sequence[Endpoint]) -> None:
        self.by_id = models
        self.endpoints = endpoints

    def find(self, model_id: str) -> OpenModel | None:
        """Return the model with this id, the default model for "", or None."""
        return self.by_id.get(model_id) if model_id else next(iter(self.by_id.values()), None)

    @property
    def problems(self) -> list[str]:
        """What keeps models from answering, for operators."""
        if not self.by_id:
            return ["no model is connected"]
        found = {model_id: opened.problem for model_id, opened in self.by_id.items() if opened.problem}
        return list(found.values()) if len(self.by_id) == 1 else [f"{pk}: {problem}" for pk, problem in found.items()]

    async def close(self) -> None:
        for endpoint in self.endpoints:
            await endpoint.close()


async def open_models() -> OpenModels:
    """Open the endpoints of all models of the registry. The embedded model is not started yet."""
    models: dict[str, Model] = settings.MODELS
    endpoints = {model.endpoint: _open(model.endpoint) for model in models.values()}
    opened = {model_id: OpenModel(model, endpoints[model.endpoint]) for model_id, model in models.items()}
    return OpenModels(opened, list(endpoints.values()))


def azure_root(address: str) -> str:
    """Return the address of the Azure resource without the paths that people copy from documents and samples."""
    root = address.rstrip("/")
    for path in ("/openai/v1", "/models", "/openai"):
        root = root.removesuffix(path)
    return root.rstrip("/")


def _open(endpoint: EndpointSettings) -> Endpoint:
    if endpoint.azure:
        return _open_azure(endpoint)
    if endpoint.base_url:
        client = _client(base_url=endpoint.base_url, api_key=endpoint.api_key or "none")
        return Endpoint(endpoint.base_url, "API key" if endpoint.api_key else "none", client)
    client = _client(base_url="http://127.0.0.1", api_key="none")  # with a new port after each start of the model
    return Endpoint("embedded model", "none", client, local.LocalModel())


def _open_azure(endpoint: EndpointSettings) -> Endpoint:
    """Open an Azure endpoint without a key: with the managed identity, or the Azure developer CLI's sign-in."""

    async def token() -> str:
        return (await identity.atoken(endpoint.token_scope)).text

    root = azure_root(endpoint.azure)
    if endpoint.api_version:  # the SDK adds the deployment, which is the request's model, to the route
        client = _client(azure_endpoint=root, api_version=endpoint.api_version, azure_ad_token_provider=token)
    else:
        client = _client(base_url=f"{root}/openai/v1/", api_key=token)
    return Endpoint(str(client.base_url), f"{identity.description}, scope {endpoint.token_scope}", client)


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


def _place(name: str, message: str) -> int | None:
    """Return where a message names a field, also as reasoningEffort for reasoning_effort; None if it does not."""
    found = re.search(rf"\b{name.replace('_', '_?')}\b", message, re.IGNORECASE)
    return found.start() if found else None
