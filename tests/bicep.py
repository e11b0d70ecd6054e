"""Reads Bicep as far as tests need it, and what Azure's management SDK says that resources are made of.

There is no Bicep compiler among Python's packages: the pipeline runs the real one. This knows the syntax (pycep) and
the models of the SDK, whose properties are the API's, of the same version.
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
# What pycep makes of something that is worked out only when it is deployed.
EXPRESSIONS = {"operator", "function", "loop_type", "condition"}


@dataclass(frozen=True)
class Resource:
    """One that is made, with what the file says of it; `within` names the file's own parameters and variables."""

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
        """Return each module's name here, its template, and what it is given."""
        for name, module in self.tree.get("modules", {}).items():
            config = unwrapped(module["config"])
            yield name, Template(self.path.parent / module["detail"]["path"]), config["params"]

    def uses_of(self, name: str) -> int:
        """Count where a name stands besides its declaration."""
        return len(re.findall(rf"(?<![\w.'-]){name}\b(?!:)|\bin {name}:", self.text)) - 1


def unwrapped(config: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a declaration, whatever loop or condition stands before it."""
    while "condition" in config and "config" in config:
        config = config["config"]
    return config


def is_secure(parameter: dict[str, Any]) -> bool:
    return any(decorator["type"] == "secure" for decorator in parameter["decorators"])


def parameters_of(path: Path) -> tuple[dict[str, Any], set[str]]:
    """Read azd's parameters file; return the values with every variable unset, and the variables' names."""
    text = path.read_text()
    filled = re.sub(r"\$\{\w+=?([^}]*)\}", r"\1", text)
    values = {name: parameter["value"] for name, parameter in json.loads(filled)["parameters"].items()}
    return values, set(re.findall(r"\$\{(\w+)", text))


# The SDK's models. They come in two styles of generated code.


@dataclass(frozen=True)
class Field:
    """What the API knows by a name: `model` names its parts, `values` all it may be (None: anything)."""

    model: str | None
    values: frozenset[str] | None
    keyed: bool  # by names of the user's own
    read_only: bool


@cache
def models_of(package: str) -> ModuleType:
    return importlib.import_module(f"azure.mgmt.{package}.models")


@cache
def version_of(package: str) -> str:
    """Return the API version that the package speaks unless told otherwise."""
    module = importlib.import_module(f"azure.mgmt.{package}")
    source = Path(module.__file__).with_name("_configuration.py").read_text()
    return re.search(r'pop\("api_version", "([\d-]+)"\)', source)[1]


@cache
def fields(package: str, model: str) -> dict[str, Field]:
    """Return the API's names of a model's properties, as paths where the model flattens them."""
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
    """Return what an annotation like `Optional[list["_models.Probe"]]` or `[Probe]` says."""
    model, values = None, None
    for name in re.findall(r"\w+", annotation):
        found = getattr(models, name, None)
        if hasattr(found, "__members__"):
            values = frozenset(member.value for member in found)
        elif isinstance(found, type) and found.__module__.startswith("azure.mgmt."):
            model = name
    return Field(model, values, annotation.startswith("{") or "dict[" in annotation, read_only)


def mistakes(resource: Resource, package: str, model: str) -> list[str]:
    """Name what the API would not know, or not let be set."""
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
