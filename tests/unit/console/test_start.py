"""What the console brings along when it starts."""

from __future__ import annotations

import subprocess
import sys


def test_the_console_starts_without_the_compiler() -> None:
    code = "import sys, console.__main__, console.loaders.history; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
