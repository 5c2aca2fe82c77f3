"""Say so if the Python that is to make the environment is too old."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older one may run this
    sys.exit("Python 3.11 or later is needed: make PYTHON=...")
