"""What several tests share; found through `pythonpath` in setup.cfg."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
# For processes that tests start: this library and these helpers.
IMPORTABLE = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
