"""The definition of the API, held against the API by requests that schemathesis generates from it."""

import json
import logging
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from django.conf import settings as django_settings
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode, checks

from conversations.models import Scope, User
from conversations.models.generation import Status
from conversations.views.api import conversations
from conversations.views.api.documentation import OPENAPI
from tests.factories import api_token, queued, unsent

DEFINITION = json.loads(OPENAPI)
# Streams never end before their answers; `test_stream` has them.
OPERATIONS = [
    (path, method) for path, methods in DEFINITION["paths"].items() for method in methods if "stream" not in path
]
ALWAYS_VALID = ("/", "/models/", "/attachments/")  # nothing to choose, or any bytes
EXAMPLES = 12  # of each operation, valid ones and invalid ones
# Not among them: what is valid to JSON Schema and not to the site, such as a question of white space.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(DEFINITION | {"security": []})  # every request gets a token


def send(client: Client, case: schemathesis.Case, secret: str) -> httpx2.Response:
    """Send a generated request with Django's test client; return the response as schemathesis takes it."""
    made = requests.Request(**case.as_transport_kwargs(base_url="http://testserver/api/v1")).prepare()
    headers = {name: text for name, text in made.headers.items() if name.lower() not in ("content-type", "cookie")}
    response = client.generic(
        made.method,
        made.path_url,
        made.body or b"",
        made.headers.get("Content-Type", ""),
        headers=headers | {"Authorization": f"Bearer {secret}"},
    )
    content = response.getvalue()
    request = httpx2.Request(made.method, made.url, headers=dict(made.headers))
    found = httpx2.Response(response.status_code, headers=dict(response.headers), content=content, request=request)
    found.elapsed = timedelta(0)  # which a response from the network would have
    return found


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        (path, method, mode)
        for path, method in OPERATIONS
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or path not in ALWAYS_VALID
    ],
)
def test_responses_are_as_defined(
    schema: Any, path: str, method: str, mode: GenerationMode, ada: User, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.CRITICAL + 1)
    generation = queued(ada)
    pk = generation.pk if "generations" in path else str(generation.conversation_id)
    operation = schema[path][method]
    unsent(ada)
    client, secret = Client(), api_token(ada)[1]
    statuses = set()
    found = [operation.as_strategy(generation_mode=mode)]
    if "{pk}" in path:  # an invented one exists too rarely
        found.append(operation.as_strategy(generation_mode=mode, path_parameters={"pk": pk}))

    @given(case=found[0] if len(found) == 1 else found[0] | found[1])
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a failure is as plain without being made smaller, which takes minutes
    )
    def check(case: schemathesis.Case) -> None:
        response = send(client, case, secret)
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    check()
    if mode is GenerationMode.POSITIVE and path != "/attachments/":  # whose files nobody could read
        assert statuses & {200, 201, 202}


def test_the_definition_is_valid_and_has_the_sites_own_numbers():
    schemas, paths = DEFINITION["components"]["schemas"], DEFINITION["paths"]
    for found in schemas.values():
        Draft202012Validator.check_schema(found)
    assert schemas["Question"]["properties"]["content"]["maxLength"] == django_settings.PROMPT_CHARACTERS
    assert schemas["Generation"]["properties"]["status"]["enum"] == list(Status)
    assert schemas["Token"]["properties"]["token"]["properties"]["scopes"]["items"]["enum"] == list(Scope)
    limits = {
        "/conversations/": (conversations.CONVERSATIONS, conversations.MOST_CONVERSATIONS),
        "/conversations/{pk}/": (conversations.MESSAGES, conversations.MOST_MESSAGES),
    }
    for path, (default, most) in limits.items():
        [limit] = [each["schema"] for each in paths[path]["get"]["parameters"] if each["name"] == "limit"]
        assert (limit["default"], limit["maximum"]) == (default, most)
