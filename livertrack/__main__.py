"""``python -m livertrack``."""

import sys

from livertrack.cli import main

sys.exit(main())
