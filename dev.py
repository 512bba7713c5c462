#!/usr/bin/env python3
"""Sets up everything in `.venv` and runs a recipe of the Justfile there.

    python3 dev.py demo      builds the example plugins and runs them, natively and sandboxed
    python3 dev.py test      runs the tests; with --slow, the slow ones too
    python3 dev.py           lists what else there is to do

Needs Python 3.11 or newer with its `venv` module, and a network for the first run. Takes what
`requirements.lock` pins, checked by hash, and nothing else; a second run starts at once.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
INPUTS = [
    ROOT / "requirements.lock",
    ROOT / "sdk-python" / "pyproject.toml",
    ROOT / "host" / "pyproject.toml",
]


def stamp() -> str:
    """What the environment was made of."""
    facts = hashlib.sha256(sys.version.encode() + str(ROOT).encode())
    for path in INPUTS:
        facts.update(path.read_bytes())
    return facts.hexdigest()


def run(*command: object) -> None:
    """Runs a command, and leaves with its exit code if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def set_up() -> None:
    """Makes the environment, unless it is there and current."""
    done = VENV / "stamp"
    if done.is_file() and done.read_text() == stamp():
        return
    print(f"Setting up {VENV} (once; about a minute, most of it downloads)", file=sys.stderr)
    try:
        import ensurepip  # noqa: F401  # whether it is there
        import venv
    except ImportError:
        sys.exit(
            "This Python has no venv module. On Debian and Ubuntu: apt-get install python3-venv"
        )
    venv.EnvBuilder(with_pip=True, clear=True).create(VENV)
    pip = [SCRIPTS / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    quiet = [] if sys.stderr.isatty() else ["--progress-bar", "off"]
    steps = [
        ("pinned dependencies", ["--require-hashes", "-r", "requirements.lock"]),
        ("this project", ["--no-deps", "--no-build-isolation", "-e", "sdk-python", "-e", "host"]),
    ]
    for number, (what, arguments) in enumerate(steps, 1):
        print(f"  [{number}/{len(steps)}] installing {what} …", file=sys.stderr, flush=True)
        run(*pip, *quiet, *arguments)
    done.write_text(stamp())


def main() -> None:
    """Sets up, then becomes `just`."""
    if sys.version_info < (3, 11):
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    set_up()
    just = SCRIPTS / "just"
    command = [str(just), "--justfile", str(ROOT / "Justfile"), *sys.argv[1:]]
    if os.name == "nt":
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(just, command)


if __name__ == "__main__":
    main()
