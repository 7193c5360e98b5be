"""What Sphinx has to know of this project's docstrings; a Sphinx extension.

Docstrings are Google style, may hold Markdown tables, and name equations of the paper, which become
links to the page of equations. At the end it is an error if a public name is not in the reference.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import public_names
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_EQUATIONS = re.compile(r"\b([Ee]qs?\. )(\d+)(?:(-| and )(\d+))?")
_COLON = "\ue000"
# Equations with a number that is not of the paper that this package implements.
_OTHERS = re.compile(r"\(20\d\d, eqs?\.|Eq\. 6 there|Chan et al\.")


def table_to_rst(lines: list[str]) -> Iterator[str]:
    """Markdown tables as tables of reStructuredText; other lines as they are."""
    in_table = False
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        if not line.lstrip().startswith("| "):
            if in_table and not line.lstrip().startswith("|--"):
                in_table = False
                yield ""
            if not line.lstrip().startswith("|--"):
                yield line
            continue
        if not in_table:
            in_table = True
            yield from ("", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", "")
        first, *others = (cell.strip() for cell in line.strip().strip("|").split(" | "))
        yield f"{indent}   * - {first}"
        yield from (f"{indent}     - {cell}" for cell in others)
    if in_table:
        yield ""


def link_equations(line: str) -> str:
    """``paper eq. 21`` with a link to the equation."""
    if _OTHERS.search(line) or line.startswith("    "):
        return line

    def link(found: re.Match[str]) -> str:
        what, first, between, last = found.groups()
        text = rf"{what}\ :ref:`{first} <equation-{first}>`"
        return text + (rf"{between}\ :ref:`{last} <equation-{last}>`" if last else "")

    return _EQUATIONS.sub(link, line)


def without_bars(line: str) -> str:
    """``|k|`` as code: in reStructuredText bars are a substitution."""
    parts = line.split("``")
    parts[::2] = [re.sub(r"\|(\w+)\|", r"``|\1|``", part) for part in parts[::2]]
    return "``".join(parts)


def _hide_colon(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """In the first line of a property napoleon takes what stands before a colon for a type."""
    if what in ("property", "attribute") and lines:
        lines[0] = lines[0].replace(":", _COLON)


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [link_equations(without_bars(line)) for line in table_to_rst(lines)]
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """That of the constructor: layers of Keras hide theirs behind `__new__`."""
    if what != "class":
        return None
    own = inspect.signature(obj.__init__)
    parameters = [p.replace(annotation=p.empty) for p in list(own.parameters.values())[1:]]
    return str(own.replace(parameters=parameters, return_annotation=own.empty)), ""


def _check_names(app: Sphinx, env: Any) -> None:
    documented = set(env.domaindata["py"]["objects"])
    missing = [
        name
        for name, others in public_names.names_of_objects().items()
        if not documented & {name, *others}
    ]
    if missing:
        raise ExtensionError(f"Expected all public names in docs/reference. Missing: {missing}.")


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the above."""
    app.connect("autodoc-process-docstring", _hide_colon, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("env-updated", _check_names)
    return {"parallel_read_safe": True}
