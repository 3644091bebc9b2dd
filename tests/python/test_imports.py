"""How the modules of `ml` lean on one another."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ml

PACKAGE = Path(ml.__file__).parent


def imports_of(path, modules):
    """Return the modules of `ml` that a file names, those inside functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from ml.simulate import columns` leans on the module, not on its package.
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner if inner <= modules else inner | {node.module}
    return found & modules


def graph_of(folder):
    names = {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts): path
        for path in folder.rglob("*.py")
    }
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    # The package itself holds nothing that a module imports.
    modules = names.keys() - {folder.name}
    return {name: imports_of(names[name], modules) - {name} for name in modules}


def test_no_two_modules_import_each_other():
    order = list(TopologicalSorter(graph_of(PACKAGE)).static_order())
    assert {"ml.run", "ml.run_page", "ml.summary"} <= set(order)


def test_a_circle_is_found(tmp_path):
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text("from ml import two\n")
    (folder / "two.py").write_text("def late():\n    from ml.one import thing\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph_of(folder)).prepare()
