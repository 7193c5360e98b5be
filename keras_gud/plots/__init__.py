"""Plots of data, samples and schedules: functions that return a Matplotlib `Figure`.

Figures are made without pyplot: no global state changes and no display is needed. Save one with
`figure.savefig(path)`, or let a notebook show it.
"""

from keras_gud.plots.curves import schedule
from keras_gud.plots.extension import strips
from keras_gud.plots.grids import forward_process, image_grid, image_table, side_by_side
from keras_gud.plots.scans import plane, scan
from keras_gud.plots.states import paths

__all__ = [
    "forward_process",
    "image_grid",
    "image_table",
    "paths",
    "plane",
    "scan",
    "schedule",
    "side_by_side",
    "strips",
]
