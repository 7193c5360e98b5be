"""The picture of restored patches: a row for each problem and patch."""

import numpy as np

from keras_gud.plots.canvas import add_panels
from keras_gud.plots.panels import Cells

COLUMNS = ("observed", "rival", "mean", "draw 1", "draw 2", "spread", "truth")
# Grey levels of standard deviation that are shown as the brightest colour.
_MOST_SPREAD = 48.0


def interesting(truth, n=2):
    """Patches with edges and colours, chosen by the truth alone, not by how they come out."""
    grey = truth.mean(axis=-1)
    edges = sum(np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    colours = (truth - grey[..., None]).std(axis=(1, 2)).mean(axis=-1)
    return np.argsort(-edges * colours, kind="stable")[:n]


def heat(spread):
    """Standard deviations ``(n, height, width, 3)`` as colours, from black over red to white."""
    level = np.clip(spread.mean(axis=-1, keepdims=True) / _MOST_SPREAD, 0.0, 1.0)
    return 255.0 * np.clip(3.0 * level - np.array([0.0, 1.0, 2.0]), 0.0, 1.0)


def gallery(rows, shown, truth):
    """A Matplotlib figure.

    Args:
        rows: For each problem its label, the observations to show and the answers by method: the
            network's first, then those of the rival to show.
        shown: Indices of the patches to show.
        truth: All true images.
    """
    images = []
    for _, observed, answers in rows:
        network, rival, *_ = (part[0] for part in answers.values())
        for i, seen in zip(shown, observed, strict=True):
            draws = network[i]
            spread = heat(draws.std(axis=0, ddof=1))
            images += [seen, rival[i, 0], draws.mean(axis=0), *draws[:2], spread, truth[i]]
    images = np.clip(np.round(images), 0, 255).astype("uint8")
    lines = [[label, f"rival: {list(answers)[1]}"] for label, _, answers in rows]
    # Room for the longest line, then the lines themselves, in the middle of a problem's patches.
    room = [max((line for pair in lines for line in pair), key=len)] * len(rows) * len(shown)
    cells = Cells(images, len(COLUMNS), 5, row_labels=room, column_labels=COLUMNS)
    figure = add_panels([cells])
    height = cells.size[1] / len(rows)
    middles = (np.arange(len(rows)) + 0.5) * height
    figure.axes[0].set_yticks(middles, ["\n".join(pair) for pair in lines])
    return figure
