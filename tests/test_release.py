"""What is published: the files of wheel and sdist, their sizes, versions that agree."""

import re
import sys

import pytest
from helpers import ROOT

import keras_gud

release_check = pytest.importorskip("release_check")
pytestmark = pytest.mark.once


@pytest.mark.slow
def test_wheel_and_sdist_are_whole(tmp_path):
    pytest.importorskip("setuptools")
    wheel, sdist = release_check.build(tmp_path / "dist")
    release_check.check_contents(wheel, sdist)
    # And a wheel that is built from the sdist holds the same.
    code = "import sys; from setuptools import build_meta as b; b.build_wheel(sys.argv[1])"
    release_check.run("tar", "xf", str(sdist), "-C", str(tmp_path))
    (source,) = tmp_path.glob("keras_gud-*")
    again = tmp_path / "again"
    release_check.run(sys.executable, "-c", code, str(again), cwd=source)
    assert release_check.contents(next(again.glob("*.whl"))) == release_check.contents(wheel)


def test_versions_agree():
    version = keras_gud.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", version)
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first[1] == version


def test_a_lacking_file_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(release_check, "contents", lambda archive: {"keras_gud/__init__.py"})
    with pytest.raises(AssertionError, match=r"a\.whl lacks .*py\.typed"):
        release_check.check_contents(tmp_path / "a.whl", tmp_path / "a.tar.gz")


def test_what_fails_says_why():
    with pytest.raises(RuntimeError, match="not there"):
        release_check.run(sys.executable, "-c", "raise SystemExit('not there')")
    assert release_check.run(sys.executable, "-c", "print(1)") == "1\n"
