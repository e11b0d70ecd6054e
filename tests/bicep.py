"""Reads Bicep files with a parser (pycep). No Python package contains the compiler, which the pipeline runs."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pycep import BicepParser

PARSER = BicepParser()


@dataclass(frozen=True)
class Resource:
    type: str
    version: str
    config: dict[str, Any]


@dataclass(frozen=True)
class Template:
    path: Path

    @cached_property
    def text(self) -> str:
        """Return the source without comments and descriptions."""
        return re.sub(r"(?m)((^|\s)//|^@description).*$", "", self.path.read_text())

    @cached_property
    def tree(self) -> dict[str, Any]:
        return PARSER.parse(text=self.path.read_text())

    @property
    def parameters(self) -> dict[str, Any]:
        return self.tree.get("parameters", {})

    @property
    def variables(self) -> dict[str, Any]:
        return self.tree.get("variables", {})

    @property
    def outputs(self) -> dict[str, Any]:
        return self.tree.get("outputs", {})

    @property
    def resources(self) -> Iterator[Resource]:
        """Return the resources that the file declares, without those it only refers to."""
        for resource in self.tree.get("resources", {}).values():
            if not resource["existing"]:
                yield Resource(resource["type"], resource["api_version"], unwrapped(resource["config"]))

    @property
    def modules(self) -> Iterator[tuple[str, "Template", dict[str, Any]]]:
        """Return each module's name in this file, its template and its arguments."""
        for name, module in self.tree.get("modules", {}).items():
            config = unwrapped(module["config"])
            yield name, Template(self.path.parent / module["detail"]["path"]), config["params"]

    def uses_of(self, name: str) -> int:
        """Return how often a name occurs besides its declaration."""
        return len(re.findall(rf"(?<![\w.'-]){name}\b(?!:)|\bin {name}:", self.text)) - 1


def unwrapped(config: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a declaration without its loop or condition."""
    while "condition" in config and "config" in config:
        config = config["config"]
    return config


def is_secure(parameter: dict[str, Any]) -> bool:
    return any(decorator["type"] == "secure" for decorator in parameter["decorators"])


def parameters_of(path: Path) -> tuple[dict[str, Any], set[str]]:
    """Return the values of azd's parameters file with every variable unset, and the names of the variables."""
    text = path.read_text()
    filled = re.sub(r"\$\{\w+=?([^}]*)\}", r"\1", text)
    values = {name: parameter["value"] for name, parameter in json.loads(filled)["parameters"].items()}
    return values, set(re.findall(r"\$\{(\w+)", text))
