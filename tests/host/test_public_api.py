"""The public surface: what it lists, and that all of it is documented."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import orchestrator_plugin_host as host
import pytest
from pydantic import BaseModel

PACKAGE = Path(host.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def isort_order(name: str) -> tuple[int, list[tuple[int, int | str]]]:
    """The order of ruff's RUF022: CONSTANTS, Classes, functions; numbers in names by value."""
    group = 0 if name.isupper() else 1 if name[0].isupper() else 2
    parts = re.findall(r"\d+|\D+", name)
    return group, [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def test_all_is_sorted() -> None:
    assert host.__all__ == sorted(host.__all__, key=isort_order)


def test_all_lists_the_public_names_and_no_other() -> None:
    public = {
        name
        for name, value in vars(import_module("orchestrator_plugin_host.public")).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }
    assert set(host.__all__) == public
    assert len(host.__all__) == len(public)


def test_names_are_loaded_when_they_are_used() -> None:
    code = (
        "import sys, orchestrator_plugin_host as host; assert 'pydantic' not in sys.modules;"
        "host.PluginHost; assert 'wasmtime' not in sys.modules;"
        "from orchestrator_plugin_host import *; PluginHost, Limits;"
        "assert 'PluginHost' in dir(host)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Plug'"):
        getattr(host, "Plug")  # noqa: B009


def test_every_error_of_the_hosts_own_is_public() -> None:
    from orchestrator_plugin_host import errors

    own = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert own <= set(host.__all__)


def comments_of_assignments() -> dict[str, str]:
    """The docstrings under assignments in the package's modules, by the name assigned."""
    found = {}
    for path in MODULES:
        for statement, after in pairwise(ast.parse(path.read_text("utf-8")).body):
            match statement, after:
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(comment))),
                ):
                    found[name] = comment
    return found


@pytest.mark.parametrize("name", host.__all__)
def test_every_public_object_is_documented(name: str) -> None:
    value = getattr(host, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        documentation = value.__doc__ or ""
        assert not documentation.startswith(f"{name}(")  # what `dataclass` writes
    else:
        documentation = comments_of_assignments().get(name, "")
    assert len(documentation) > 10


CLASSES = [name for name in host.__all__ if inspect.isclass(getattr(host, name))]


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_is_documented(name: str) -> None:
    value = getattr(host, name)
    methods = {
        attribute: found
        for attribute, found in vars(value).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(found) or isinstance(found, (property, classmethod)))
    }
    assert [attribute for attribute, found in methods.items() if not found.__doc__] == []


MODELS = [name for name in CLASSES if issubclass(getattr(host, name), BaseModel)]


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_is_documented(name: str) -> None:
    model: Any = getattr(host, name)
    bases = [one for one in model.__mro__ if one.__module__.startswith(PACKAGE.name)]
    trees = [ast.parse(inspect.getsource(one)).body[0] for one in bases]
    documented = {
        statement.target.id
        for tree in trees
        if isinstance(tree, ast.ClassDef)
        for statement, after in pairwise(tree.body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(after, ast.Expr)
    }
    assert documented == set(model.model_fields)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(ast.get_docstring(ast.parse(text)) or "") > 20
    assert len(text.splitlines()) <= 450


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
