"""Registries of models: `settings.MODELS = registry(model(endpoint.base_url))`, and tables of TOML for sites."""

import json
from dataclasses import replace
from typing import Any

from conversations.inference.endpoint import OpenModel, OpenModels
from conversations.inference.registry import EndpointSettings, Model, Models, Reasoning, one_model
from tests.endpoint import Endpoint

SCOPE = "https://cognitiveservices.azure.com/.default"


def model(
    base_url: str = "http://127.0.0.1:9/v1",
    model_id: str = "m",
    *,
    azure: str = "",
    key: str = "canary-key",
    api_version: str = "",
    pinned: Reasoning = Reasoning(),  # noqa: B008  (it cannot change)
    label: str = "",
    **facts: Any,
) -> Model:
    """Return a model at this address, or at this Azure resource; `facts` are fields of its profile."""
    endpoint = EndpointSettings(f"for {model_id}", base_url=base_url, key_name="OPENAI_API_KEY", api_key=key)
    if azure:
        endpoint = EndpointSettings("azure", azure, token_scope=SCOPE, api_version=api_version)
    [made] = one_model(endpoint, model_id, pinned, facts).values()
    return replace(made, label=label or model_id)


def registry(*models: Model) -> Models:
    return {each.id: each for each in models}


def table(endpoint: Endpoint, model_id: str, **facts: Any) -> str:
    """Return the TOML of a model at an endpoint of its own, whose key is in SOME_KEY."""
    at = {"base_url": endpoint.base_url, "api_key": "SOME_KEY"}
    of_model = {"id": model_id, "endpoint": model_id, **facts}
    tables = {f"[endpoints.{model_id}]": at, "[[models]]": of_model}
    lines = (
        [head, *(f"{key} = {json.dumps(value)}" for key, value in values.items())] for head, values in tables.items()
    )
    return "\n".join(line for group in lines for line in group)


class NoEndpoint(OpenModel):
    """A model without an endpoint, for runs whose text comes from the test."""

    def __init__(self, **facts: Any) -> None:
        facts = {"prefix_completion": True, "context_tokens": 1_000_000} | facts
        super().__init__(model(model_id="test-model", **facts), None)  # type: ignore[arg-type]

    @property
    def problem(self) -> str:
        return ""


def without_endpoint() -> OpenModels:
    """Return open models of which one has no endpoint, and there is no other."""
    opened = NoEndpoint()
    return OpenModels({opened.model.id: opened}, [])
