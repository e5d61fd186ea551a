"""`python -m celeriac`: the same as the `celeriac` command, for where it is not on the path."""

import sys

from celeriac.cli import main

sys.exit(main())
