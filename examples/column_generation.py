"""From all columns at once to one after the other: the paper's sec. 5.2.

One network is trained on column-wise schedules, b from 0 (standard diffusion) to 0.7. Then
likelihood and sample quality over b: what sequential generation costs. The paper has b = 0.3 and
0.5 on PCAM, here on stained tissue; `extension.py` makes its strips (figs. 6 and 7).
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")


import experiment

import keras_gud
from keras_gud import plots, schedules

B = (0.0, 0.15, 0.3, 0.5, 0.7)
SMALL = experiment.Setting(dataset="histology")


def main():
    setting, folder = experiment.parse_arguments(__doc__, "column_generation", default=SMALL)

    def make():
        return keras_gud.GUD(
            schedule=schedules.Sequential(b=(B[0], B[-1]), over="column"),
            backbone=setting.backbone,
        )

    scanned = B if setting.steps > experiment.QUICK.steps else (0.0, 0.5)
    results = experiment.scan({"columns": make}, [{"b": b} for b in scanned], setting, folder)
    panels = results.panels(["columns"], "b", scanned)
    plots.scan(scanned, panels, "b").savefig(folder / "columns.png")
    print(f"wrote {folder / 'columns.png'}")


if __name__ == "__main__":
    main()
