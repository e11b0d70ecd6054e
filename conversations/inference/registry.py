"""Which models this site has, how each can be asked to think, and their limits.

`chatsite/settings.py` builds the registry when it is imported: from the TOML of `MODELS`, or from the variables of one
model. So this module and what it imports use no settings while they are imported, and nothing of Django's models.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from conversations.inference import local
from conversations.inference.dialects import thinking_fields
from conversations.inference.models_toml import InvalidModels, Table, tables_of
from conversations.inference.profiles import Profile, profile_of

ANSWER_SHARE = 4  # a quarter of the context is reserved for reasoning and answer
# At most this of a person's tokens of the day: few answers of models with long contexts are longer.
MOST_RESERVED = 65_536
THINKING = ("always", "switchable", "requested", "never")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")  # lowest first
# How endpoints want to be asked; see `dialects`. Others speak the last one: vLLM, SGLang and llama.cpp.
HOSTS = {
    "azure.com": "azure",
    "deepseek.com": "deepseek",
    "mistral.ai": "mistral",
    "ollama.com": "ollama",
    "openai.com": "openai",
    "openrouter.ai": "openrouter",
}
DIALECTS = (*HOSTS.values(), "vllm")
OLLAMA_PORT = ":11434"
QUICK, NORMAL, DEEP = "quick", "normal", "deep"  # depths, as `models.Depth` has them
LABEL_CHARACTERS = 60
DESCRIPTION_CHARACTERS = 120
EVERYONE = "everyone"  # the name by which `daily_tokens` has the number for people in no group
ID_CHARACTERS = 200  # as many as the column holds


class Reasoning(NamedTuple):
    """How a request asks the model to think; None and "" leave it to the endpoint."""

    thinking: bool | None = None
    effort: str = ""


ENDPOINTS_DEFAULT = Reasoning()


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """An endpoint: an Azure resource, any other address, or the embedded model if it is neither.

    `key_name` is the variable that holds the key, for people.
    """

    name: str = ""
    azure: str = ""
    base_url: str = ""
    key_name: str = ""
    api_key: str = field(default="", repr=False)
    token_scope: str = ""
    api_version: str = ""

    @property
    def is_embedded(self) -> bool:
        return not self.azure and not self.base_url

    @property
    def dialect(self) -> str:
        """Return the dialect that endpoints at this address speak."""
        if self.azure:
            return "azure"
        if urlsplit(self.base_url).netloc.endswith(OLLAMA_PORT):
            return "ollama"
        return next((dialect for domain, dialect in HOSTS.items() if is_at(self.base_url, domain)), "vllm")


@dataclass(frozen=True)
class Model:
    """A model of the registry. Rows store `id`; `name` is the one at the endpoint.

    `pinned` is what the operator has set for all questions.
    """

    id: str
    endpoint: EndpointSettings
    name: str
    profile: Profile
    label: str = ""
    description: str = ""
    pinned: Reasoning = ENDPOINTS_DEFAULT
    groups: tuple[str, ...] = ()  # the names of those whose people may use it; none: everybody
    # What one person may use of it in a day: people in a group the group's number, if it is higher; 0: no limit.
    daily_tokens: int = 0
    daily_tokens_of_groups: Mapping[str, int] = field(default_factory=dict, hash=False)
    titles: bool = False  # it is meant for titles; see `inference.titles`

    @property
    def is_embedded(self) -> bool:
        return self.endpoint.is_embedded

    @property
    def context_tokens(self) -> int:
        return self.profile.context_tokens

    @cached_property
    def output_tokens(self) -> int:
        """Return the limit of an answer with its reasoning: the profile's, or a share of the context."""
        return self.profile.max_output_tokens or min(self.context_tokens // ANSWER_SHARE, MOST_RESERVED)

    @cached_property
    def depths(self) -> dict[str, Reasoning]:
        """Return the depths that people can choose from, quickest first; none if there is no choice."""
        efforts, thinking = self.profile.efforts, self.profile.thinking
        if self.pinned != ENDPOINTS_DEFAULT or thinking == "never":
            return {}
        found: dict[str, Reasoning] = {}
        if thinking == "switchable":
            found[QUICK] = Reasoning(thinking=False)
        elif len(efforts) > 1 and thinking != "requested":
            found[QUICK] = Reasoning(effort=efforts[0])
        found[NORMAL] = ENDPOINTS_DEFAULT
        if efforts or thinking == "requested":
            switch = True if thinking in ("switchable", "requested") else None
            found[DEEP] = Reasoning(switch, efforts[-1] if efforts else "")
        return found if len(found) > 1 else {}

    @property
    def can_skip_thinking(self) -> bool:
        """Whether it is known to answer without thinking, if that is asked for."""
        fields = thinking_fields(self.profile, on=False)
        without_effort = fields.get("reasoning_effort", "none") == "none"
        return self.profile.thinking == "never" or (
            self.profile.thinking in ("switchable", "requested") and without_effort
        )

    def reasoning(self, depth: str) -> Reasoning:
        """Return how to ask for this depth; what is pinned if the model does not offer it."""
        return self.depths.get(depth, self.pinned)


Models = dict[str, Model]


def is_at(address: str, domain: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host == domain or host.endswith(f".{domain}")


# At run time


def find(model_id: str) -> Model | None:
    """Return the model with this id, the default model for "", or None."""
    models: Models = settings.MODELS
    return models.get(model_id) if model_id else default_model()


def default_model() -> Model | None:
    """Return the model that answers where nobody chose one: the first; None if there is none."""
    models: Models = settings.MODELS
    return next(iter(models.values()), None)


def limits_of(model_id: str) -> Model:
    """Return the model whose limits hold for a generation, whichever will answer it."""
    return find(model_id) or default_model() or Model("", EndpointSettings(), "", Profile())


# At the start


def one_model(endpoint: EndpointSettings | None, name: str, pinned: Reasoning, given: dict[str, Any]) -> Models:
    """Return the registry of one model; of the embedded one, if it is installed, without an `endpoint`.

    `given` are fields of its profile. Its id is the name that sites with one model have always stored.
    """
    if endpoint is None and not local.installed():
        return {}
    if endpoint is None:
        endpoint, name, given = EndpointSettings(), local.MODEL, _embedded_facts() | given
    model = _model(name, endpoint, name, given)
    return {name: replace(model, label=name, pinned=pinned)}


def read_models(
    text: str, read_key: Callable[[str], str], pinned: Reasoning, *, token_scope: str, api_version: str
) -> Models:
    """Return the registry that a TOML text describes. Raises `InvalidModels`, which names table and key.

    `read_key` returns the value of a variable, or "".
    """
    endpoint_tables, model_tables = tables_of(text)
    endpoints: dict[str, EndpointSettings] = {}
    for name, table in endpoint_tables.items():
        endpoints[name] = _read_endpoint(name, table, read_key, token_scope, api_version)
    models: Models = {}
    labels: set[str] = set()
    for table in model_tables:
        model = replace(_read_model(table, endpoints), pinned=pinned)
        if model.id in models:
            raise table.error("id", f"{model.id!r} is also the id of another model.")
        if model.label in labels:
            raise table.error("label", f"{model.label!r} is also the label of another model.")
        models[model.id] = model
        labels.add(model.label)
    if not models:
        raise InvalidModels("there is no [[models]] table.")
    for name, table in endpoint_tables.items():
        if all(model.endpoint.name != name for model in models.values()):
            raise table.error("", "no model uses this endpoint.")
    return models


def _read_endpoint(
    name: str, table: Table, read_key: Callable[[str], str], token_scope: str, api_version: str
) -> EndpointSettings:
    azure, base_url, embedded = table.text("azure"), table.text("base_url"), table.flag("embedded", False)
    if [bool(azure), bool(base_url), embedded].count(True) != 1:
        raise table.error("", "set one of azure, base_url and embedded = true.")
    for key, address in (("azure", azure), ("base_url", base_url)):
        if address and not address.startswith(("http://", "https://")):
            raise table.error(key, "it must start with https:// (or http:// for a server on your own network).")
    key_name = table.text("api_key")
    if key_name and not base_url:
        raise table.error("api_key", "remove it: only an endpoint with a base_url takes a key.")
    if key_name and not re.fullmatch(r"[A-Z][A-Z0-9_]*", key_name):
        raise table.error("api_key", "it must be the name of the variable that holds the key, not the key.")
    api_key = read_key(key_name) if key_name else ""
    if key_name and not api_key:
        raise table.error("api_key", f"neither {key_name} nor {key_name}_FILE is set.")
    scope, version = table.text("token_scope"), table.text("api_version")
    for key, value in (("token_scope", scope), ("api_version", version)):
        if value and not azure:
            raise table.error(key, "remove it: only an endpoint with azure takes it.")
    if embedded and not local.installed():
        raise table.error("embedded", "the embedded model is not installed (requirements-local.txt).")
    table.finish()
    if not azure:
        return EndpointSettings(name, base_url=base_url, key_name=key_name, api_key=api_key)
    return EndpointSettings(name, azure, token_scope=scope or token_scope, api_version=version or api_version)


def _read_model(table: Table, endpoints: dict[str, EndpointSettings]) -> Model:
    model_id = table.text("id")
    if not re.fullmatch(rf"\S{{1,{ID_CHARACTERS}}}", model_id):
        raise table.error("id", f"it must have 1 to {ID_CHARACTERS} characters, without spaces.")
    endpoint = endpoints.get(table.text("endpoint"))
    if endpoint is None:
        raise table.error(
            "endpoint", f"use one of {', '.join(endpoints) or 'the [endpoints] tables, of which none is there'}."
        )
    name = table.text("name", local.MODEL if endpoint.is_embedded else model_id)
    if endpoint.is_embedded and name != local.MODEL:
        raise table.error("name", f"the embedded model is {local.MODEL}.")
    given = _embedded_facts() if endpoint.is_embedded else {}
    given |= table.given(
        context_tokens=table.number("context_tokens", minimum=1_000),
        max_output_tokens=table.number("max_output_tokens", minimum=1),
        thinking=table.choice("thinking", THINKING),
        efforts=table.choices("efforts", EFFORTS),
        images=table.flag("images", False),
        prefix_completion=table.flag("prefix_completion", False),
        dialect=table.choice("dialect", DIALECTS),
    )
    if given.get("thinking") == "never":
        given = {"efforts": ()} | given  # whatever the built-in profile says
    model = _model(model_id, endpoint, name, given)
    model = replace(model, titles=table.flag("titles", False), groups=table.texts("groups"))
    by_group = table.numbers("daily_tokens", 1, EVERYONE)
    model = replace(model, daily_tokens=by_group.pop(EVERYONE, 0), daily_tokens_of_groups=by_group)
    label = table.text("label", model_id, LABEL_CHARACTERS)
    description = table.text("description", "", DESCRIPTION_CHARACTERS)
    if model.profile.thinking == "never" and model.profile.efforts:
        raise table.error("efforts", 'remove it: thinking is "never".')
    if model.titles and (model.is_embedded or not model.can_skip_thinking):
        raise table.error("titles", "remove it: only a model at an endpoint that can answer without thinking takes it.")
    if model.profile.max_output_tokens >= model.context_tokens:
        raise table.error("max_output_tokens", f"it must be less than context_tokens ({model.context_tokens:,}).")
    table.finish()
    return replace(model, label=label, description=description)


def _model(model_id: str, endpoint: EndpointSettings, name: str, given: dict[str, Any]) -> Model:
    profile = profile_of(name, given.get("dialect") or endpoint.dialect)
    return Model(model_id, endpoint, name, replace(profile, **given))


def _embedded_facts() -> dict[str, Any]:
    return {"thinking": "switchable", "context_tokens": local.CONTEXT_TOKENS, "prefix_completion": True}
