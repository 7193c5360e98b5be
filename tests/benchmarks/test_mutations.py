"""The list of mutations stays in step with the package, and the script tells caught from not."""

import ast

import mutations
import pytest
from helpers import ROOT


@pytest.mark.once
@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_text_is_there_once_and_the_change_is_python(mutation):
    assert mutation.text != mutation.replacement
    ast.parse(mutation.source())
    for name in mutation.tests:
        assert (ROOT / "tests" / name).exists()


@pytest.mark.once
def test_the_list():
    names = [mutation.name for mutation in mutations.MUTATIONS]
    assert len(set(names)) == len(names) >= 40
    folders = {mutation.file.split("/")[0] for mutation in mutations.MUTATIONS}
    assert folders >= {"diffusion", "likelihood", "samplers", "schedules"}


def miniature(root, source):
    """A repository of one file and its test."""
    (root / "keras_gud").mkdir()
    (root / "keras_gud" / "sign.py").write_text(source)
    (root / "tests").mkdir()
    (root / "tests" / "test_sign.py").write_text(
        "import runpy\n\ndef test_sign():\n"
        "    assert runpy.run_path('keras_gud/sign.py')['sign'](2.0) == 1.0\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("replacement", "caught"), [("-1.0 if x", "tests/test_sign.py::test_sign"), ("1.0 if +x", None)]
)
def test_what_is_caught(tmp_path, replacement, caught):
    source = "def sign(x):\n    return 1.0 if x > 0.0 else 0.0\n"
    miniature(tmp_path, source)
    mutation = mutations.Mutation("sign", "sign.py", "1.0 if x", replacement, ("test_sign.py",))
    assert mutations.noticed_by(tmp_path, mutation) == caught
    assert (tmp_path / "keras_gud" / "sign.py").read_text() == source


def test_a_text_that_is_gone_is_an_error(tmp_path):
    miniature(tmp_path, "x = 1\ny = 1\n")
    mutation = mutations.Mutation("one", "sign.py", "= 1", "= 2", ())
    with pytest.raises(ValueError, match="'one' once in .*Received: 2 times"):
        mutation.source(tmp_path)


def test_an_unknown_name():
    with pytest.raises(SystemExit, match=r"Received: \['alpfa'\]"):
        mutations.chosen(["alpfa"])
