"""What is known of models by their names. It counts where the operator's variables or TOML say nothing.

Nothing is known of any other model, so nothing is sent to it that the operator has not set.
"""

import re
from dataclasses import dataclass, replace

CONTEXT_TOKENS = 131_072  # of DeepSeek's V3 generation


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model can do.

    `thinking` is "always", "switchable" (it thinks, and that can be switched off), "requested" (it thinks only if that
    is asked for), "never", or "" if that is not known. `efforts` are the values of `reasoning_effort` that it takes,
    lowest first; "none" switches thinking off. `max_output_tokens` is 0 if the endpoint sets the limit. An empty
    `dialect` is recognised by the endpoint's address.
    """

    thinking: str = ""
    efforts: tuple[str, ...] = ()
    images: bool = False
    prefix_completion: bool = False
    context_tokens: int = CONTEXT_TOKENS
    max_output_tokens: int = 0
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """The profile of models whose whole names match `pattern`, at endpoints of these dialects; of any if that is empty.

    `source` is where its vendor, or the server that runs it, says so. The output limits of vendors are not part of it:
    a limit that is sent counts against quotas, and has to fit into what a server has left.
    """

    names: str  # for people
    pattern: str
    profile: Profile
    source: str
    dialects: tuple[str, ...] = ()


UNKNOWN = Profile()
# What files and deployments of open models have behind the name: the format and the quantisation.
BUILD = r"([-_.:](fp8|awq|gptq|gguf|int[48]|nvfp4|mxfp4|bf16|f16|i?q\d|ud|mlx|[48]bit)[\w.:-]*)?"
DATE = r"(-\d{4}-\d\d-\d\d)?"
# Routes of OpenRouter, which are no part of a model's name.
ROUTES = re.compile(r":(free|nitro|floor|exacto|extended)$")

V4 = r"deepseek-v4-(flash|pro)(-\d{4})?" + BUILD
V4_TOKENS = 1_000_000
DEEPSEEK = "https://api-docs.deepseek.com/guides/thinking_mode"
OPENAI = "https://developers.openai.com/api/docs/guides/reasoning"
QWEN3 = "https://huggingface.co/Qwen/Qwen3-8B"
QWEN3_2507 = "https://huggingface.co/Qwen/Qwen3-30B-A3B-Thinking-2507"
QWEN3_SIZE = r"qwen3[-:](next-)?\d+(\.\d+)?b(-a\d+b)?"
# The longest prompt has 272,000 tokens, and prompts get three quarters of this.
GPT5_TOKENS = 360_000
OF_OPENAI = ("openai", "azure", "openrouter", "vllm")  # "vllm" because gateways are not recognised by their address


def _openai(pattern: str, thinking: str, efforts: str, tokens: int, names: str) -> Known:
    profile = Profile(thinking, tuple(efforts.split()), context_tokens=tokens, dialect="openai")
    return Known(names, f"({pattern}){DATE}", profile, OPENAI, OF_OPENAI)


# The first that matches counts.
PROFILES: tuple[Known, ...] = (
    Known(
        "DeepSeek V4 Flash and Pro at api.deepseek.com",
        V4 + "|deepseek-flash",
        Profile("switchable", ("low", "high", "max"), prefix_completion=True, context_tokens=V4_TOKENS),
        DEEPSEEK,
        ("deepseek",),
    ),
    Known(
        "DeepSeek V4 Flash and Pro on Azure",
        V4,
        Profile("switchable", ("low", "high", "max")),  # a deployment's quota is usually less than the full context
        DEEPSEEK,
        ("azure",),
    ),
    Known(
        "DeepSeek V4 Flash and Pro at OpenRouter",
        V4,
        Profile("switchable", ("high", "xhigh"), context_tokens=V4_TOKENS),
        "https://openrouter.ai/deepseek/deepseek-v4-flash",
        ("openrouter",),
    ),
    Known(
        "DeepSeek V4 Flash and Pro on Ollama",
        r"deepseek-v4-(flash|pro)(:(\d{4}-)?cloud)?",
        Profile("switchable", ("high", "max"), context_tokens=V4_TOKENS),
        "https://ollama.com/library/deepseek-v4-pro",
        ("ollama",),
    ),
    # Their chat template thinks only if `thinking` is true, and knows no other effort than these.
    Known(
        "DeepSeek V4 Flash and Pro on vLLM or SGLang",
        V4,
        Profile("requested", ("high", "max"), context_tokens=V4_TOKENS),
        "https://recipes.vllm.ai/deepseek-ai/DeepSeek-V4-Pro",
        ("vllm",),
    ),
    Known(
        "DeepSeek R1",
        r"deepseek-r1([-:](0528|distill)[\w.:-]*|:\d+b[\w.:-]*)?" + BUILD,
        Profile("always"),
        "https://docs.vllm.ai/en/stable/features/reasoning_outputs/",
    ),
    _openai(r"o1|o3(-mini)?|o4-mini", "always", "low medium high", 200_000, "OpenAI o1, o3, o3-mini, o4-mini"),
    _openai(r"gpt-5(-mini|-nano)?", "always", "minimal low medium high", GPT5_TOKENS, "OpenAI GPT-5, mini and nano"),
    _openai(r"gpt-5\.1", "requested", "none low medium high", GPT5_TOKENS, "OpenAI GPT-5.1"),
    _openai(r"gpt-5\.2", "requested", "none low medium high xhigh", GPT5_TOKENS, "OpenAI GPT-5.2"),
    _openai(r"gpt-5\.4", "requested", "none low medium high xhigh", 1_050_000, "OpenAI GPT-5.4"),
    _openai(r"gpt-5\.5", "switchable", "none low medium high xhigh", 1_050_000, "OpenAI GPT-5.5"),
    _openai(
        r"gpt-5\.6(-sol|-terra|-luna)?",
        "switchable",
        "none low medium high xhigh max",
        1_050_000,
        "OpenAI GPT-5.6, Sol, Terra and Luna",
    ),
    Known(
        "gpt-oss",
        r"gpt-oss([-:]\d+b)?([-:](cloud|latest))?" + BUILD,
        Profile("always", ("low", "medium", "high"), context_tokens=131_072),
        "https://huggingface.co/openai/gpt-oss-120b",
    ),
    Known(
        "Qwen3 Thinking",
        QWEN3_SIZE + r"-thinking(-2507)?" + BUILD,
        Profile("always", context_tokens=262_144),
        QWEN3_2507,
    ),
    Known(
        "Qwen3 Instruct",
        QWEN3_SIZE + r"-instruct(-2507)?" + BUILD,
        Profile("never", context_tokens=262_144),
        "https://huggingface.co/Qwen/Qwen3-30B-A3B-Instruct-2507",
    ),
    # Ollama's tags of the other sizes are the Thinking models.
    Known(
        "Qwen3 on Ollama",
        r"qwen3(:(latest|0\.6b|1\.7b|8b|14b|32b)" + BUILD + ")?",
        Profile("switchable", context_tokens=32_768),
        "https://docs.ollama.com/capabilities/thinking",
        ("ollama",),
    ),
    Known(
        "Qwen3",
        r"qwen3-\d+(\.\d+)?b(-a\d+b)?" + BUILD,
        Profile("switchable", context_tokens=32_768),
        QWEN3,
        ("vllm", "openrouter", "azure"),
    ),
    Known(
        "Mistral Small 4 and Medium 3.5",
        r"mistral-small-(latest|2603)|mistral-medium-(latest|2604|3[-.]5)",
        Profile("requested", ("none", "high"), context_tokens=256_000),
        "https://docs.mistral.ai/capabilities/reasoning/adjustable",
        ("mistral",),
    ),
    Known(
        "Mistral Large 4",
        r"mistral-large-4(-0)?",
        Profile("switchable", ("none", "high"), context_tokens=524_288),
        "https://docs.mistral.ai/models/mistral-large-4-0",
        ("mistral",),
    ),
    Known(
        "Magistral",
        r"magistral-(small|medium)(-latest|-\d{4})?",
        Profile("always", context_tokens=128_000),
        "https://docs.mistral.ai/inference/conversations/reasoning",
        ("mistral",),
    ),
)


def profile_of(name: str, dialect: str) -> Profile:
    """Return what is known of the model with this name at an endpoint of this dialect, with the dialect to use.

    Names may have a path before them, such as the maker's, and the ending of a file.
    """
    name = name.rpartition("/")[2].removesuffix(".gguf")
    if dialect == "openrouter":
        name = ROUTES.sub("", name)
    for known in PROFILES:
        if dialect in (known.dialects or (dialect,)) and re.fullmatch(known.pattern, name, re.IGNORECASE):
            # OpenRouter is asked in one form for all its models.
            own = known.profile.dialect if dialect != "openrouter" else ""
            return replace(known.profile, dialect=own or dialect)
    return replace(UNKNOWN, dialect=dialect)
