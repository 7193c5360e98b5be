"""Pages of the repository in the site, and links to files of the repository; a Sphinx extension.

A page that holds a comment ``<!-- file: examples/README.md -->`` becomes that file. Links are
written so that they lead somewhere in the repository; in the site, to the pages of such files.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
_FILE = re.compile(r"<!-- file: (\S+) -->")
_LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def pages_of_files() -> dict[Path, Path]:
    """The pages that stand for files elsewhere in the repository."""
    found = {}
    for page in (ROOT / "docs").glob("*.md"):
        match = _FILE.search(page.read_text(encoding="utf-8"))
        if match:
            found[ROOT / match[1]] = page
    return found


def rewritten(text: str, written_in: Path, shown_in: Path) -> str:
    """The text with links that lead to the same places, or to the pages that stand for them."""
    pages = pages_of_files()

    def link(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(written_in.parent / found[1]))
        if not target.exists():  # it may be code
            return found[0]
        target = pages.get(target, target)
        relative = Path(os.path.relpath(target, shown_in.parent)).as_posix()
        return f"]({relative}{found[2] or ''})"

    return _LINK.sub(link, text)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = ROOT / "docs" / f"{docname}.md"
    match, written_in = _FILE.search(source[0]), page
    if match:
        written_in = ROOT / match[1]
        source[0] = written_in.read_text(encoding="utf-8")
    source[0] = rewritten(source[0], written_in, page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the above."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
