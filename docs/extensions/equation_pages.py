"""Fills in the page of equations from the code, whenever it is read; a Sphinx extension."""

from collections.abc import Iterator

from equation_index import EQUATIONS, Equation, Place, mentions, place_of
from sphinx.application import Sphinx

_MOST_LINES = 60


def table() -> str:
    """A row for each equation: number, what it is, the objects that compute it, and their lines."""
    rows = ["| eq. | what | computed by | at |", "|---|---|---|---|"]
    for each in EQUATIONS:
        names = "<br>".join(f"`{name}`" for name in each.code)
        places = "<br>".join(f"`{place_of(name)}`" for name in each.code)
        number = f"[{each.number}](#equation-{each.number})"
        rows.append(f"| {number} | {each.title} | {names} | {places} |")
    return "\n".join(rows)


def sections() -> str:
    """Every equation with the lines that compute it, and where it is named."""
    back = mentions()
    lines = (line for each in EQUATIONS for line in _section(each, back.get(each.number, [])))
    return "\n".join(lines)


def _section(equation: Equation, back: list[Place]) -> Iterator[str]:
    where = f"{'Appendix' if equation.section.isalpha() else 'Section'} {equation.section}"
    yield from (
        f"(equation-{equation.number})=",
        f"### Eq. {equation.number}: {equation.title}",
        "",
    )
    yield from ("$$", equation.latex, "$$", "", f"{where} of the paper. {equation.note}", "")
    for name in equation.code:
        place = place_of(name)
        last = min(place.last, place.first + _MOST_LINES - 1)
        yield from (f"```{{literalinclude}} /../{place.file}", ":language: python")
        yield from (f":lines: {place.first}-{last}", ":lineno-match:")
        yield from (f":caption: {place}, {name}", "```", "")
    if back:
        yield from (f"Named in {', '.join(f'`{place}`' for place in back)}.", "")


def _fill(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == "equations":
        filled = source[0].replace("<!-- table -->", table())
        source[0] = filled.replace("<!-- sections -->", sections())


def _always(app: Sphinx, env: object, *documents: set[str]) -> list[str]:
    return ["equations"]  # the code may have changed


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the above."""
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", _always)
    return {"parallel_read_safe": True}
