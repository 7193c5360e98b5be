"""The picture of restored patches: a row for each problem and patch."""

import numpy as np

from keras_gud.plots.canvas import add_panels
from keras_gud.plots.panels import Cells

COLUMNS = ("observed", "rival", "mean", "draw 1", "draw 2", "spread", "truth")
# Grey levels of standard deviation that are shown as the brightest colour.
_MOST_SPREAD = 48.0


def interesting(truth, n=2):
    """Patches of the strongest contrast, chosen by the truth alone, not by how they come out."""
    return np.argsort(-truth.std(axis=(1, 2, 3)), kind="stable")[:n]


def heat(spread):
    """Standard deviations ``(n, height, width, 3)`` as colours, from black over red to white."""
    level = np.clip(spread.mean(axis=-1, keepdims=True) / _MOST_SPREAD, 0.0, 1.0)
    return 255.0 * np.clip(3.0 * level - np.array([0.0, 1.0, 2.0]), 0.0, 1.0)


def gallery(rows, truth):
    """A Matplotlib figure.

    Args:
        rows: For each problem its label, the observations to show, the answers by method (the
            network first, then its main rival) and the indices of the patches to show.
        truth: All true images.
    """
    images, labels = [], []
    for label, observed, answers, shown in rows:
        network, rival, *_ = (part[0] for part in answers.values())
        for i, seen in zip(shown, observed, strict=True):
            draws = network[i]
            spread = heat(draws.std(axis=0, ddof=1))
            images += [seen, rival[i, 0], draws.mean(axis=0), *draws[:2], spread, truth[i]]
            labels.append(label if i == shown[0] else "")
    images = np.stack([np.clip(image, 0, 255) for image in images]).astype("uint8")
    cells = Cells(images, len(COLUMNS), scale=5, row_labels=labels, column_labels=[*COLUMNS])
    return add_panels([cells])
