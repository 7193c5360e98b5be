"""Prints the tests of what changed since the branch left main, for `make check`."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAIN = ("origin/main", "main")


def git(*arguments: str) -> list[str]:
    """The lines that a git command prints; none where it fails."""
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return result.stdout.splitlines() if result.returncode == 0 else []


def changed_files() -> list[str]:
    """Files of commits since main, of the working tree, and new ones that git does not know."""
    found = (git("merge-base", "HEAD", main) for main in MAIN)
    base = next((lines[0] for lines in found if lines), "HEAD")
    return [*git("diff", "--name-only", base), *git("ls-files", "--others", "--exclude-standard")]


def tests_of(path: str) -> list[str]:
    """Files and folders of tests for one changed file; some may not exist."""
    folder, *inner = path.split("/")
    if folder == "tests" and inner[0] == "helpers":
        module = f"helpers.{Path(path).stem}"
        files = ROOT.glob("tests/**/test_*.py")
        return [str(f.relative_to(ROOT)) for f in files if module in f.read_text()]
    if folder == "tests":
        return [path] if inner[-1].startswith("test_") else []
    if folder == "keras_gud":
        mirrored = f"tests/{inner[0]}" if inner[1:] else f"tests/test_{inner[0]}"
        return [mirrored, "tests/test_architecture.py"]
    if not inner and path.endswith(".md"):
        return [f"tests/test_{path[:-3].lower()}.py"]
    return [f"tests/{folder}"]


def main() -> None:
    """Prints them on one line, what lies in a folder that is there too left out."""
    tests = {test for path in changed_files() for test in tests_of(path)}
    tests = {test for test in tests if (ROOT / test).exists()}
    print(*sorted(test for test in tests if str(Path(test).parent) not in tests))


if __name__ == "__main__":
    main()
