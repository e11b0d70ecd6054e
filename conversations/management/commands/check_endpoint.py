"""Ask a model one short question and report how its endpoint responds; or ask all models at each depth."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatsite.identity import identity
from conversations.inference import errors, local, probe
from conversations.inference.deltas import Delta, DeltaTotals
from conversations.inference.endpoint import OpenModel, open_models
from conversations.inference.profiles import CONTEXT_TOKENS
from conversations.inference.registry import Model
from conversations.inference.stream import Amend, Outcome, stream
from conversations.models import Kind

# An answer that was cut off. A model that continues it writes 5 next; one that starts again does not.
CUT_ANSWER = [
    {"role": "user", "content": "Count from 1 to 9, separated by commas and spaces. Write nothing else."},
    {"role": "assistant", "content": "1, 2, 3, 4,"},
]
# What decides whether an optional field is sent; token counts are always asked for.
SETTINGS_BY_FIELD = {
    "reasoning_effort": "REASONING_EFFORT",
    "thinking": "THINKING",
    "reasoning": "THINKING",
    "chat_template_kwargs": "THINKING",
}
Record = Callable[[bytes], object] | None
SCOPES = ("https://cognitiveservices.azure.com/.default", "https://ai.azure.com/.default")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--record", type=Path, metavar="FILE", help="write the raw bytes of the response to FILE")

        parser.add_argument("--all", action="store_true", help="ask all models, each at every depth")

    def handle(self, *args, record: Path | None, **options) -> None:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(record.open("wb")) if record else None
            asyncio.run(self.open_and_report(file.write if file else None, options["all"]))

    async def open_and_report(self, record: Record, asks_all: bool) -> None:
        self.refused: list[str] = []  # fields of requests
        models = await open_models()
        try:
            if (opened := models.find("")) is None:
                raise CommandError(
                    "No endpoint is configured."
                    " Set OPENAI_BASE_URL and OPENAI_MODEL, AZURE_INFERENCE_ENDPOINT, or MODELS."
                )
            for each in models.by_id.values() if asks_all else [opened]:
                if each.endpoint.local_model and not each.endpoint.local_model.is_running:
                    await each.endpoint.local_model.start()
            if asks_all:
                await self.report_all(list(models.by_id.values()))
            else:
                await self.report(opened, record)
        except local.LocalModelError as error:
            raise CommandError(str(error)) from error
        finally:
            await models.close()
            identity.close()

    async def report_all(self, models: list[OpenModel]) -> None:
        """Report what each model does at each depth, and the lines that its profile should have."""
        failed = []
        for opened in models:
            self.refused.clear()
            self.print_row("Model", f"{opened.model.id} ({opened.model.name} at {opened.endpoint.description})")
            found = await probe.attempts(opened)
            for attempt in found:
                self.print_row(attempt.name, attempt)
            if error := found[0].error:
                failed.append(opened.model.id)
                self.print_row("To do", self.failure(error, opened.model))
            else:
                lines = probe.profile_lines(found, await self.completes_prefixes(opened))
                for number, line in enumerate(lines):
                    self.print_row("" if number else "Profile", line)
            self.stdout.write()
        if failed:
            raise CommandError(f"{len(failed)} of {len(models)} models did not answer: {', '.join(failed)}.")

    async def report(self, opened: OpenModel, record: Record) -> None:
        self.print_row("Endpoint", opened.endpoint.description)
        self.print_row("Authentication", opened.endpoint.authentication)
        self.print_row("Model", opened.model.name)
        started = time.monotonic()
        totals = DeltaTotals[float]()
        first, length = totals.first_at, totals.characters

        def sink(deltas: list[Delta]) -> None:
            totals.add(deltas, time.monotonic() - started)

        request = opened.request([{"role": "user", "content": probe.QUESTION}])
        try:
            outcome = await stream(
                opened.endpoint.create,
                request,
                sink,
                stall_seconds=settings.STALL_SECONDS,
                record=record,
                amend=self.amend_for(opened),
            )
        except errors.InferenceError as error:
            raise CommandError(self.failure(error, opened.model)) from error
        self.print_row(
            "Reasoning",
            f"{length[Kind.REASONING]} characters in {outcome.reasoning_field}" if length[Kind.REASONING] else "none",
        )
        self.print_row("First reasoning", f"{first[Kind.REASONING]:.2f} s" if Kind.REASONING in first else "-")
        self.print_row("First answer", f"{first[Kind.ANSWER]:.2f} s" if Kind.ANSWER in first else "-")
        self.print_row(
            "Answer", f"{length[Kind.ANSWER]} characters, finish reason {outcome.finish_reason or 'missing'}"
        )
        if outcome.failure:
            self.print_row("Outcome", f"{type(outcome.failure).__name__}: {outcome.failure.sentence}")
        usage = outcome.usage
        self.print_row(
            "Usage",
            f"prompt {usage.prompt_tokens}, reasoning {usage.reasoning_tokens}, answer {usage.answer_tokens}",
        )
        completes = await self.completes_prefixes(opened)
        self.print_row("Cut answers", "continued by prefix completion" if completes else "continued by asking")
        for line in self.advice(opened, outcome, length, completes):
            self.print_row("To set", line)

    def amend_for(self, opened: OpenModel) -> Amend:
        """Return what sends a request again without an optional field that was refused, and reports it."""

        def amend(request: dict[str, Any], error: errors.InferenceError) -> dict[str, Any] | None:
            if not (found := opened.without_refused(request, error)):
                return None
            name, amended = found
            if name not in self.refused:
                self.refused.append(name)
                self.print_row("Refused", f"{name}, so the request was sent again without it: {error.report}")
            return amended

        return amend

    async def completes_prefixes(self, opened: OpenModel) -> bool:
        """Return whether the endpoint continues an answer that is the last message of a request."""
        answer: list[str] = []
        request = opened.request(CUT_ANSWER, continuing=True, as_prefix=True)
        try:
            await stream(
                opened.endpoint.create,
                request,
                lambda deltas: answer.extend(delta.text for delta in deltas if delta.kind == Kind.ANSWER),
                stall_seconds=settings.STALL_SECONDS,
                amend=self.amend_for(opened),
            )
        except errors.InferenceError:
            return False  # it does not accept such a request
        return "".join(answer).lstrip().startswith("5")

    def print_row(self, label: str, value: object) -> None:
        self.stdout.write(f"{label:<15} {value}")

    def advice(self, opened: OpenModel, outcome: Outcome, length: dict[Kind, int], completes: bool) -> list[str]:
        lines = [
            f"{setting}= (nothing): the endpoint refuses {name}, so each answer takes two requests."
            for name in self.refused
            if (setting := SETTINGS_BY_FIELD.get(name))
        ]
        if completes != opened.completes_prefixes:
            lines.append(f"PREFIX_COMPLETION={'true' if completes else 'false'}, to continue cut answers.")
        if not length[Kind.REASONING] and settings.THINKING != "off":
            lines.append("THINKING=on if this model can reason: no reasoning arrived.")
        if not length[Kind.ANSWER]:
            lines.append("A larger MAX_OUTPUT_TOKENS: the model finished reasoning but gave no answer.")
        if opened.model.context_tokens == CONTEXT_TOKENS:
            lines.append(f"CONTEXT_TOKENS to the model's context length (assumed: {CONTEXT_TOKENS:,}).")
        if outcome.usage.prompt_tokens is None:
            lines.append("Nothing for token counts: the endpoint reports no usage, so they stay unknown.")
        return lines or ["Nothing: the endpoint provides everything the site needs."]

    def failure(self, error: errors.InferenceError, model: Model) -> str:
        """Return one sentence: the error, and the setting that is most likely to be wrong."""
        scope, key_name = model.endpoint.token_scope, model.endpoint.key_name
        if identity.fails(scope) and settings.RUNNING_IN_PRODUCTION:
            hint = "check AZURE_CLIENT_ID, and that the identity is assigned to this app"
        elif identity.fails(scope):
            hint = "sign in: azd auth login"
        elif isinstance(error, errors.NotAuthorised) and model.endpoint.azure:
            other = next(other for other in SCOPES if other != scope)
            hint = f"check the identity's role, or set AZURE_TOKEN_SCOPE={other}"
        elif isinstance(error, errors.NotAuthorised):
            hint = f"check {key_name}" if key_name else "the endpoint needs a key"
        elif isinstance(error, errors.Unreachable):
            hint = "check the address, and that the endpoint is running"
        elif isinstance(error, errors.Malformed):
            hint = "check that the address is the base URL of the API, which often ends in /v1"
        else:
            hint = "see the endpoint's documentation"
        return f"{type(error).__name__}: {error.report}; {hint}."
