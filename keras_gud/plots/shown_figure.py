"""A Matplotlib figure that notebooks show, also without pyplot; imported when one is made."""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that shows itself as the result of a cell; IPython knows only those of pyplot.

    Example:

    >>> ShownFigure(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
