"""Who waits for a program to be compiled is told so, once."""

import keras
from helpers.tiny_model import make, vectors


def test_it_is_said_before_the_first_step_only(capsys):
    x, model = vectors(8), make()
    expected = keras.backend.backend() != "torch"
    for is_new in (expected, False):
        model.fit(x, batch_size=4, verbose=2)
        printed = capsys.readouterr().out
        assert ("Compiling the training step ..." in printed) is is_new
        assert ("... compiled in " in printed) is is_new
    model.fit(x, batch_size=4, verbose=0)
    assert capsys.readouterr().out == ""
