"""The size, documentation and dependency rules of ``broker/``, measured by its syntax trees."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

import pytest

from .test_architecture import MODULES, PACKAGE, imports, name_of

FILE_LINES_MAX: Final = 300
FUNCTION_LINES_MAX: Final = 40
FUNCTION_LINES_MEDIAN_MAX: Final = 6
DOCUMENTED_MIN: Final = 0.90
"""Share of public classes, methods and functions that have a docstring."""

UVICORN_INTERNALS: Final = "server/uvicorn_internals"
"""The only module that imports more of uvicorn than its public names."""

UVICORN_PUBLIC: Final = {
    "uvicorn",
    "uvicorn.__version__",
    "uvicorn.Config",
    "uvicorn.Server",
    "uvicorn.main",
    "uvicorn.run",
}
"""``uvicorn``, its version and the members of ``uvicorn.__all__``."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = Function | ast.ClassDef


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions() -> Iterator[Function]:
    """Yield every function and method of the package, nested ones included."""
    for path in MODULES:
        yield from (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def lines_of(function: Function) -> int:
    """Return the number of lines of a function, without its docstring: a limit must not cost documentation."""
    first = function.body[0]
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if ast.get_docstring(function) else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def public(nodes: Iterable[ast.AST]) -> Iterator[Definition]:
    """Yield the public definitions of a module or class body, as ruff's D101, D102, D103 and D106 count them.

    A private class hides its methods. Special methods have rules of their own (D105, D107) and are not counted.
    """
    for node in nodes:
        if isinstance(node, Definition) and not node.name.startswith("_") and not _is_exempt(node):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body)


def _is_exempt(node: Definition) -> bool:
    """Return whether pydocstyle's rules leave a definition out: overloads, overrides and setters."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"overload", "override", "setter", "deleter"})


def dotted_name(path: Path) -> str:
    """Return the full name of a module, or of a package for its ``__init__``."""
    return ".".join(("broker", *name_of(path).split("/"))).removesuffix(".__init__")


def imported_modules(path: Path, names: set[str]) -> set[str]:
    """Return the modules of the package that ``path`` imports, wherever in the file.

    ``from broker.core import ids`` imports the module ``broker.core.ids``.
    ``from broker.auth import Principal`` imports the package ``broker.auth``.
    """
    found = {name if name in names else name.rpartition(".")[0] for name in imports(path)}
    return (found & names) - {dotted_name(path)}


def attributes(path: Path) -> Iterator[str]:
    """Yield every dotted name in a module, as ``uvicorn.server.ServerState``."""
    return (ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute))


def test_imports_have_no_cycle() -> None:
    """Modules do not import each other in a circle, imports within functions and for types included."""
    names = {dotted_name(path) for path in MODULES}
    graph = {dotted_name(path): imported_modules(path, names) for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_module_names_are_unique() -> None:
    """No two modules of the package have the same name, ``__init__`` and ``__main__`` aside."""
    names = Counter(path.stem for path in MODULES if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_file_is_short(path: Path) -> None:
    """A file has at most 300 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES_MAX


def test_functions_are_short() -> None:
    """No function has more than 40 lines, and half of them have at most 6; docstrings do not count."""
    lines = {f"{function.name}:{function.lineno}": lines_of(function) for function in functions()}
    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES_MAX} == {}
    assert median(map(lines_of, functions())) <= FUNCTION_LINES_MEDIAN_MAX


def test_public_definitions_have_docstrings() -> None:
    """At least 90 % of the public classes, methods and functions have a docstring."""
    found = list(chain.from_iterable(public(tree(path).body) for path in MODULES))
    documented = [node for node in found if ast.get_docstring(node)]
    assert len(documented) / len(found) >= DOCUMENTED_MIN


def test_tests_state_their_behaviour() -> None:
    """Every test has a docstring."""
    files = PACKAGE.with_name("tests").glob("*/test_*.py")
    found = [node for path in files for node in ast.walk(tree(path)) if isinstance(node, Function)]
    tests = [function for function in found if function.name.startswith("test_")]
    assert len(tests) > 1000
    assert [test.name for test in tests if not ast.get_docstring(test)] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_one_module_uses_uvicorn_internals(path: Path) -> None:
    """Only ``server/uvicorn_internals`` uses names of uvicorn that are not public."""
    used = {name for name in (*imports(path), *attributes(path)) if name.split(".")[0] == "uvicorn"}
    assert name_of(path) == UVICORN_INTERNALS or used <= UVICORN_PUBLIC


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_starlette_is_used_by_public_names(path: Path) -> None:
    """No module uses a name of Starlette that begins with an underscore."""
    used = {name for name in (*imports(path), *attributes(path)) if name.split(".")[0] == "starlette"}
    assert [name for name in used if "._" in name] == []


def test_the_package_is_measured() -> None:
    """The measures see the package: they cannot pass because they found no module."""
    assert {PACKAGE / "errors.py", PACKAGE / "web" / "app.py"} <= set(MODULES)
