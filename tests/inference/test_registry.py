"""The registry of models that the settings build: from the TOML of MODELS, or from the variables of one model."""

from pathlib import Path

import pytest
from environs.exceptions import EnvError

from conversations.inference import local
from conversations.inference.registry import Models, Reasoning, find, limits_of
from tests.models import model, registry
from tests.test_settings import read

TOML = """
[endpoints.foundry]
azure = "https://name.services.ai.azure.com"

[endpoints.deepseek]
base_url = "https://api.deepseek.com"
api_key = "DEEPSEEK_API_KEY"

[endpoints.own]
base_url = "http://vllm.lan:8000/v1"

[[models]]
id = "v4-pro"
label = "DeepSeek V4 Pro"
description = "Thinks longest"
endpoint = "foundry"
name = "DeepSeek-V4-Pro"
context_tokens = 1_000_000
max_output_tokens = 64_000
thinking = "switchable"
efforts = ["max", "low", "high"]
prefix_completion = true

[[models]]
id = "deepseek-v4-flash"
endpoint = "deepseek"

[[models]]
id = "qwen"
endpoint = "own"
thinking = "always"
groups = ["Research", "Board"]
images = true
dialect = "mistral"
"""


def models(monkeypatch: pytest.MonkeyPatch, toml: str = TOML, **variables: str) -> Models:
    found: Models = read(monkeypatch, MODELS=toml, **{"DEEPSEEK_API_KEY": "canary-key"} | variables)["MODELS"]
    return found


def test_the_toml_describes_models_and_their_endpoints(monkeypatch):
    found = models(monkeypatch)
    assert list(found) == ["v4-pro", "deepseek-v4-flash", "qwen"]
    pro, flash, qwen = found.values()
    assert (pro.label, pro.description, pro.name) == ("DeepSeek V4 Pro", "Thinks longest", "DeepSeek-V4-Pro")
    assert (pro.endpoint.azure, pro.endpoint.base_url) == ("https://name.services.ai.azure.com", "")
    assert pro.endpoint.token_scope == "https://cognitiveservices.azure.com/.default"
    assert (pro.context_tokens, pro.output_tokens) == (1_000_000, 64_000)
    assert pro.profile.efforts == ("low", "high", "max")
    assert (pro.profile.dialect, flash.profile.dialect, qwen.profile.dialect) == ("azure", "deepseek", "mistral")
    assert (flash.label, flash.name, flash.endpoint.api_key) == ("deepseek-v4-flash", "deepseek-v4-flash", "canary-key")
    assert (qwen.context_tokens, qwen.output_tokens) == (131_072, 32_768)
    assert (qwen.profile.thinking, qwen.profile.images, qwen.depths) == ("always", True, {})
    assert "canary-key" not in repr(found)


def test_the_toml_says_who_may_use_a_model(monkeypatch):
    assert [each.groups for each in models(monkeypatch).values()] == [(), (), ("Research", "Board")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", (0, {})),
        ("daily_tokens = 1_000", (1_000, {})),
        ('daily_tokens = {everyone = 1_000, "Data team" = 5_000}', (1_000, {"Data team": 5_000})),
    ],
)
def test_a_model_has_one_number_of_tokens_a_day_or_more_for_groups(monkeypatch, line: str, expected: tuple):
    found = models(monkeypatch, ENDPOINT + MODEL + line)["m"]
    assert (found.daily_tokens, found.daily_tokens_of_groups) == expected


def test_what_the_toml_does_not_say_is_known_by_the_name(monkeypatch):
    flash = models(monkeypatch)["deepseek-v4-flash"]
    assert (flash.profile.thinking, list(flash.depths)) == ("switchable", ["quick", "normal", "deep"])
    assert (flash.profile.prefix_completion, flash.context_tokens, flash.output_tokens) == (True, 1_000_000, 65_536)


def test_what_the_operator_says_takes_precedence_over_what_is_known_by_the_name(monkeypatch):
    own = 'thinking = "always"\nefforts = ["max"]\nprefix_completion = false\ncontext_tokens = 5000\n'
    flash = models(monkeypatch, TOML.replace('endpoint = "deepseek"\n', f'endpoint = "deepseek"\n{own}'))
    profile = flash["deepseek-v4-flash"].profile
    assert (profile.thinking, profile.efforts, profile.context_tokens) == ("always", ("max",), 5000)
    assert not profile.prefix_completion
    never = models(monkeypatch, TOML.replace('endpoint = "deepseek"\n', 'endpoint = "deepseek"\nthinking = "never"\n'))
    assert (never["deepseek-v4-flash"].profile.efforts, never["deepseek-v4-flash"].depths) == ((), {})


def test_a_variable_that_is_set_to_false_takes_precedence_too(monkeypatch):
    variables = {"OPENAI_BASE_URL": "https://api.deepseek.com", "OPENAI_MODEL": "deepseek-v4-pro"}
    for value, expected in {None: True, "false": False}.items():
        more = {} if value is None else {"PREFIX_COMPLETION": value}
        [pro] = read(monkeypatch, **variables | more)["MODELS"].values()
        assert pro.profile.prefix_completion == expected


def test_the_registry_and_a_key_can_be_files(monkeypatch, tmp_path: Path):
    for name, text in {"MODELS": TOML, "DEEPSEEK_API_KEY": "from-a-file\n"}.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert read(monkeypatch)["MODELS"]["deepseek-v4-flash"].endpoint.api_key == "from-a-file"


def test_the_operator_pins_how_all_models_think(monkeypatch):
    found = models(monkeypatch, THINKING="on", REASONING_EFFORT="high")
    assert {each.pinned for each in found.values()} == {Reasoning(True, "high")}
    assert not any(each.depths for each in found.values())


ENDPOINT = '[endpoints.e]\nbase_url = "http://e"\n'
MODEL = '[[models]]\nid = "m"\nendpoint = "e"\n'


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("models = ", "it is not TOML"),
        ("[servers.e]", "servers is not known"),
        (ENDPOINT, "there is no [[models]] table"),
        ("[endpoints.e]\n" + MODEL, "[endpoints.e]: set one of azure, base_url and embedded"),
        (ENDPOINT + 'azure = "https://a"\n' + MODEL, "[endpoints.e]: set one of azure"),
        ('[endpoints.e]\nbase_url = "e"\n' + MODEL, "[endpoints.e] base_url: it must start with https://"),
        (ENDPOINT + 'api_key = "sk-1234"\n' + MODEL, "[endpoints.e] api_key: it must be the name of the variable"),
        (ENDPOINT + 'api_key = "NO_KEY"\n' + MODEL, "[endpoints.e] api_key: neither NO_KEY nor NO_KEY_FILE is set"),
        (ENDPOINT + 'token_scope = "s"\n' + MODEL, "[endpoints.e] token_scope: remove it"),
        (ENDPOINT + 'key = "s"\n' + MODEL, "[endpoints.e] key: this key is not known"),
        (ENDPOINT + "[endpoints.f]\nembedded = true\n" + MODEL, "[endpoints.f]: no model uses this endpoint"),
        (ENDPOINT + MODEL + MODEL, "[[models]] 2 (m) id: 'm' is also the id of another model"),
        (ENDPOINT + MODEL + MODEL.replace('"m"', '"n"\nlabel = "m"'), "[[models]] 2 (n) label: 'm' is also"),
        (ENDPOINT + '[[models]]\nendpoint = "e"\n', "[[models]] 1 id: it must have 1 to 200 characters"),
        (ENDPOINT + MODEL.replace('"e"', '"f"'), "[[models]] 1 (m) endpoint: use one of e."),
        (ENDPOINT + MODEL + "thinking = true", "[[models]] 1 (m) thinking: it must be a text"),
        (
            ENDPOINT + MODEL + 'thinking = "often"',
            "(m) thinking: 'often' is none of always, switchable, requested",
        ),
        (ENDPOINT + MODEL + 'efforts = "high"', "(m) efforts: it must be a list"),
        (ENDPOINT + MODEL + 'efforts = ["huge"]', "(m) efforts: 'huge' is none of none, minimal, low"),
        (ENDPOINT + MODEL + 'thinking = "never"\nefforts = ["high"]', "(m) efforts: remove it"),
        (ENDPOINT + MODEL + "context_tokens = true", "(m) context_tokens: it must be a whole number"),
        (ENDPOINT + MODEL + "context_tokens = 10", "(m) context_tokens: it must be at least 1,000"),
        (
            ENDPOINT + MODEL + "max_output_tokens = 200_000",
            "(m) max_output_tokens: it must be less than context_tokens",
        ),
        (ENDPOINT + MODEL + "daily_tokens = true", "(m) daily_tokens: it must be a whole number, or a table such as {"),
        (ENDPOINT + MODEL + "daily_tokens = 0", "(m) daily_tokens: use whole numbers of at least 1"),
        (ENDPOINT + MODEL + "daily_tokens = {A = 9}", "(m) daily_tokens: a table must have a number for everyone"),
        (ENDPOINT + MODEL + 'groups = "Research"', "(m) groups: it must be a list"),
        (ENDPOINT + MODEL + "groups = [1]", "(m) groups: each must be a text in quotation marks"),
        (ENDPOINT + MODEL + "titles = 1", "(m) titles: it must be true or false"),
        (ENDPOINT + MODEL + 'dialect = "klingon"', "(m) dialect: 'klingon' is none of"),
        (ENDPOINT + MODEL + f'label = "{"x" * 61}"', "(m) label: it must have at most 60 characters"),
        (ENDPOINT + MODEL + "temperature = 1", "(m) temperature: this key is not known. The keys are"),
    ],
)
def test_an_invalid_registry_stops_the_start_and_names_table_and_key(monkeypatch, toml: str, sentence: str):
    with pytest.raises(EnvError) as refusal:
        models(monkeypatch, toml)
    assert str(refusal.value).startswith('Environment variable "MODELS" invalid: ')
    assert sentence in str(refusal.value)
    assert "sk-1234" not in str(refusal.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
        ("OPENAI_MODEL", "m"),
        ("AZURE_INFERENCE_ENDPOINT", "https://name.services.ai.azure.com"),
        ("AZURE_DEEPSEEK_DEPLOYMENT", "deepseek"),
        ("CONTEXT_TOKENS", "1000"),
        ("MAX_OUTPUT_TOKENS", "100"),
        ("PREFIX_COMPLETION", "true"),
    ],
)
def test_models_are_described_in_one_place_only(monkeypatch, variable: str, value: str):
    with pytest.raises(EnvError, match=f'"{variable}" invalid: MODELS is also set'):
        models(monkeypatch, **{variable: value})


@pytest.mark.parametrize(
    ("variables", "model_id", "address", "key"),
    [
        ({"OPENAI_BASE_URL": "http://e/v1", "OPENAI_MODEL": "org/m"}, "org/m", "http://e/v1", ""),
        ({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "gpt"}, "gpt", "https://api.openai.com/v1", "k"),
        ({"AZURE_INFERENCE_ENDPOINT": "https://a", "AZURE_DEEPSEEK_DEPLOYMENT": "d"}, "d", "https://a", ""),
    ],
)
def test_the_variables_of_one_model_make_a_registry_with_the_name_as_its_id(
    monkeypatch, variables: dict[str, str], model_id: str, address: str, key: str
):
    facts = {"CONTEXT_TOKENS": "5000", "MAX_OUTPUT_TOKENS": "400", "PREFIX_COMPLETION": "true"}
    [(stored, found)] = read(monkeypatch, **variables | facts)["MODELS"].items()
    assert (stored, found.id, found.name, found.label) == (model_id,) * 4
    assert (found.endpoint.azure or found.endpoint.base_url, found.endpoint.api_key) == (address, key)
    assert (found.context_tokens, found.output_tokens, found.profile.prefix_completion) == (5000, 400, True)


def test_without_any_the_embedded_model_is_the_only_one(monkeypatch):
    [(stored, found)] = read(monkeypatch)["MODELS"].items()
    assert (stored, found.is_embedded, found.context_tokens) == (local.MODEL, True, local.CONTEXT_TOKENS)
    assert list(found.depths) == ["quick", "normal"]
    monkeypatch.setattr(local, "installed", lambda: False)
    assert read(monkeypatch)["MODELS"] == {}


def test_the_embedded_model_can_be_one_of_several(monkeypatch):
    toml = ENDPOINT + MODEL + '[endpoints.here]\nembedded = true\n[[models]]\nid = "tiny"\nendpoint = "here"\n'
    tiny = models(monkeypatch, toml)["tiny"]
    assert (tiny.name, tiny.is_embedded, tiny.context_tokens) == (local.MODEL, True, local.CONTEXT_TOKENS)


def test_a_generation_without_a_model_is_for_the_default_one(settings):
    settings.MODELS = registry(model(model_id="one", context_tokens=5000), model(model_id="two"))
    assert find("").id == "one"
    assert find("two").id == "two"
    assert find("three") is None
    assert limits_of("three").context_tokens == 5000
    settings.MODELS = {}
    assert find("") is None
    assert limits_of("three").context_tokens == 131_072
