"""The house: rooms of a size that can be read, imports that point one way, no private name used elsewhere."""

import ast
from graphlib import TopologicalSorter

import pytest

from helpers.paths import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for folder in ("helpers", "tools", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
modules = pytest.mark.parametrize("name", MODULES)


def imports(name):
    """(module, names taken from it) for each import of the project's own modules."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("helpers", "tools", "benchmarks"):
            taken = [alias.name for alias in node.names]
            for module in {node.module, *(f"{node.module}.{each}" for each in taken)} & {*MODULES, *ROOMS}:
                yield module, taken


ROOMS = {name.removesuffix(".__init__") for name in MODULES}


def room_of(name):
    """A package of helpers is one room; any other module is its own."""
    parts = name.removesuffix(".__init__").split(".")
    return ".".join(parts[:2])


@modules
def test_a_module_can_be_read_and_says_what_it_is(name):
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 260
    assert len(ast.get_docstring(ast.parse(text)).splitlines()[0]) <= 117


@modules
def test_no_private_name_of_another_module(name):
    assert [each for _, taken in imports(name) for each in taken if each.startswith("_")] == []


def test_no_circle_of_imports():
    graph = {}
    for name in MODULES:
        used = {room_of(module) for module, _ in imports(name)}
        graph.setdefault(room_of(name), set()).update(used - {room_of(name), "helpers"})
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_what_guards_knows_nothing_of_captioning():
    ground = {"helpers.reading", "helpers.errors", "helpers.paths", "helpers.settings", "helpers.text"}
    for name in MODULES:
        if name.startswith("helpers.reading."):
            assert {room_of(module) for module, _ in imports(name)} <= ground, name
    assert {
        room_of(module) for name in MODULES for module, _ in imports(name) if name.startswith("helpers.")
    }.isdisjoint({"tools", "benchmarks"})


def test_nothing_but_notebooks_imports_the_hub():
    users = {name for name in MODULES for module, _ in imports(name) if room_of(module) == "helpers.hub"}
    assert all(room_of(name) == "helpers.hub" for name in users)
