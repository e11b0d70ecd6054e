"""Reads Bicep files, and checks resources against the models of Azure's management SDK.

No Python package contains the Bicep compiler, which the pipeline runs. This module uses a parser (pycep) and the SDK's
models, whose properties are those of the API in the same version.
"""

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from pycep import BicepParser

PARSER = BicepParser()
# Keys in pycep's output for expressions that are evaluated at deployment.
EXPRESSIONS = {"operator", "function", "loop_type", "condition"}


@dataclass(frozen=True)
class Resource:
    """A resource that a file declares. `within` contains the names of the file's parameters and variables."""

    type: str
    version: str
    config: dict[str, Any]
    within: frozenset[str]


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
        names = frozenset(self.parameters) | frozenset(self.variables)
        for resource in self.tree.get("resources", {}).values():
            if not resource["existing"]:
                yield Resource(resource["type"], resource["api_version"], unwrapped(resource["config"]), names)

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


# The SDK's models. Their generated code has two styles.


@dataclass(frozen=True)
class Field:
    """A property: its `model` if it is an object, and its allowed `values` (None: any)."""

    model: str | None
    values: frozenset[str] | None
    keyed: bool  # a mapping with arbitrary keys
    read_only: bool


@cache
def models_of(package: str) -> ModuleType:
    return importlib.import_module(f"azure.mgmt.{package}.models")


@cache
def version_of(package: str) -> str:
    """Return the package's default API version."""
    module = importlib.import_module(f"azure.mgmt.{package}")
    source = Path(module.__file__).with_name("_configuration.py").read_text()
    return re.search(r'pop\("api_version", "([\d-]+)"\)', source)[1]


@cache
def fields(package: str, model: str) -> dict[str, Field]:
    """Return a model's properties by their names in the API; flattened ones by their path."""
    known: dict[str, Field] = {}
    models = models_of(package)
    for cls in reversed(getattr(models, model).__mro__):
        for attribute, spec in cls.__dict__.get("_attribute_map", {}).items():
            validation = cls.__dict__.get("_validation", {}).get(attribute, {})
            given = cls.__init__.__annotations__.get(attribute, "")
            known[spec["key"]] = field(models, f"{spec['type']} {given}", read_only=bool(validation.get("readonly")))
        for attribute, annotation in inspect.get_annotations(cls).items():
            described = cls.__dict__.get(attribute)
            if hasattr(described, "_visibility"):
                only = described._visibility == ["read"]
                known[described._rest_name_input or attribute] = field(models, str(annotation), read_only=only)
    return known


def field(models: ModuleType, annotation: str, *, read_only: bool) -> Field:
    """Return the field for an annotation like `Optional[list["_models.Probe"]]` or `[Probe]`."""
    model, values = None, None
    for name in re.findall(r"\w+", annotation):
        found = getattr(models, name, None)
        if hasattr(found, "__members__"):
            values = frozenset(member.value for member in found)
        elif isinstance(found, type) and found.__module__.startswith("azure.mgmt."):
            model = name
    return Field(model, values, annotation.startswith("{") or "dict[" in annotation, read_only)


def mistakes(resource: Resource, package: str, model: str) -> list[str]:
    """Return a sentence for each property or value that the API does not accept."""
    top = {"name", "parent", "scope", "dependsOn", "depends_on"}
    config = {name: value for name, value in resource.config.items() if name not in top}
    return list(_mistakes(config, package, model, "", resource.within))


def _mistakes(config: Any, package: str, model: str, path: str, names: frozenset[str]) -> Iterator[str]:
    if isinstance(config, list):
        for item in config:
            yield from _mistakes(item, package, model, path, names)
        return
    if not isinstance(config, dict):
        return
    if EXPRESSIONS & config.keys():
        if "loop_type" in config:
            yield from _mistakes(config["config"], package, model, path, names)
        return
    known = fields(package, model)
    for name, value in config.items():
        here = f"{path}{name}"
        if any(other.startswith(f"{here}.") for other in known):
            yield from _mistakes(value, package, model, f"{here}.", names)
        elif here not in known:
            yield f"{model} has no {here}"
        elif known[here].read_only:
            yield f"{model}.{here} can only be read"
        elif isinstance(value, str) and (values := known[here].values):
            if value not in values | names:
                yield f"{model}.{here} cannot be {value!r}"
        elif part := known[here].model:
            parts = value.values() if known[here].keyed and isinstance(value, dict) else [value]
            for item in parts:
                yield from _mistakes(item, package, part, "", names)
