"""The example `code-interpreter`: what ordinary programs do, and what hostile ones don't."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    HostSettings,
    Limits,
    LoadedToolExecutor,
    MemoryLimitError,
    PluginHost,
    PluginTrapError,
    Policy,
)
from orchestrator_plugin_host.policy import FilesGrant, FolderQuota
from orchestrator_plugin_sdk import (
    ErrorKind,
    PluginCallError,
    ToolPolicy,
    ToolRunRequest,
    ToolRunResult,
    load_project,
)
from support.building import REPOSITORY, built

pytestmark = pytest.mark.anyio

FOLDER = REPOSITORY / "guest-examples" / "code-interpreter"
ALL = ToolPolicy(enabled=True)
FILES = Policy(files=FilesGrant(artifacts=FolderQuota(bytes=1_000_000, files=20)))
SANDBOXED = pytest.mark.parametrize("where", ["in-process", "process"])


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
async def host(anyio_backend: str, cache_directory: Path) -> AsyncIterator[PluginHost]:
    async with PluginHost(HostSettings(cache_directory=cache_directory)) as opened:
        yield opened


@pytest.fixture(params=["native", "in-process", "process"])
def where(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def interpreter(host: PluginHost, where: str) -> AsyncIterator[LoadedToolExecutor]:
    """The example, natively and in each tier."""
    async with await loaded(host, where) as plugin:
        yield plugin


async def loaded(host: PluginHost, where: str, **options: Any) -> LoadedToolExecutor:
    options.setdefault("policy", FILES)
    source = load_project(FOLDER) if where == "native" else built(FOLDER)
    if where != "native":
        options["tier"] = where
    return await host.load(source, expect=LoadedToolExecutor, **options)


async def run(plugin: LoadedToolExecutor, code: str, **fields: Any) -> ToolRunResult:
    request = ToolRunRequest("python", stdin=textwrap.dedent(code), **fields)
    return await plugin.execute(request, ALL)


# Ordinary programs.

PROGRAMS: dict[str, tuple[str, str]] = {
    "json": (
        """
        import json
        text = json.dumps({"b": [1, 2.5, None], "a": {"ż": True}}, sort_keys=True)
        print(text)
        print(json.loads(text)["a"], json.dumps([1, {"x": 2}], indent=2))
        try:
            json.loads("[1,")
        except json.JSONDecodeError as error:
            print("at", error.pos)
        """,
        (
            '{"a": {"\\u017c": true}, "b": [1, 2.5, null]}\n'
            "{'ż': True} [\n  1,\n  {\n    \"x\": 2\n  }\n]\nat 3\n"
        ),
    ),
    "re": (
        r"""
        import re
        log = "GET /a 200\nPOST /b 404\nGET /c 500"
        line = re.compile(r"^(?P<verb>\w+) (?P<path>\S+) (?P<code>\d{3})$", re.M)
        print([(m["verb"], int(m["code"])) for m in line.finditer(log)])
        print(re.sub(r"(\d)(?=(\d{3})+$)", r"\1,", "1234567"), re.split(r"[,;]\s*", "a, b;c"))
        """,
        "[('GET', 200), ('POST', 404), ('GET', 500)]\n1,234,567 ['a', 'b', 'c']\n",
    ),
    "datetime": (
        """
        from datetime import date, datetime, timedelta, timezone
        moment = datetime(2024, 2, 28, 23, 30, tzinfo=timezone.utc)
        print((moment + timedelta(hours=1)).isoformat(), moment.strftime("%d %B %Y"))
        print(datetime.strptime("1.3.2024", "%d.%m.%Y").weekday())
        print((date(2024, 12, 24) - date(2024, 2, 29)).days, datetime.now().year >= 2024)
        """,
        "2024-02-29T00:30:00+00:00 28 February 2024\n4\n299 True\n",
    ),
    "statistics": (
        """
        import statistics
        values = [3, 1, 4, 1, 5, 9, 2, 6]
        print(statistics.mean(values), statistics.median(values), statistics.mode(values))
        print(round(statistics.stdev(values), 3), statistics.quantiles(values, n=4))
        """,
        "3.875 3.5 1\n2.748 [1.25, 3.5, 5.75]\n",
    ),
    "itertools": (
        """
        from itertools import accumulate, batched, chain, groupby, permutations, product
        print(list(accumulate([1, 2, 3, 4])), ["".join(p) for p in permutations("abc", 2)])
        print({k: len(list(g)) for k, g in groupby("aaabcc")}, list(chain([1], [2], product([3]))))
        """.replace("batched, ", ""),
        (
            "[1, 3, 6, 10] ['ab', 'ac', 'ba', 'bc', 'ca', 'cb']\n"
            "{'a': 3, 'b': 1, 'c': 2} [1, 2, (3,)]\n"
        ),
    ),
    "dataclasses": (
        """
        from dataclasses import asdict, dataclass, field, replace

        @dataclass(order=True, frozen=True)
        class Item:
            price: float
            name: str = field(compare=False)
            tags: tuple[str, ...] = ()

        items = [Item(2.5, "tea"), Item(1.0, "bread", ("food",))]
        print(min(items), asdict(items[0]))
        print(replace(items[0], price=3.0).price, Item.__module__)
        """,
        (
            "Item(price=1.0, name='bread', tags=('food',)) "
            "{'price': 2.5, 'name': 'tea', 'tags': ()}\n3.0 __main__\n"
        ),
    ),
    "math": (
        """
        import cmath, math
        print(math.comb(10, 3), math.gcd(84, 36), math.isclose(math.sin(math.pi), 0, abs_tol=1e-9))
        print(math.factorial(25), round(math.hypot(3, 4)), cmath.sqrt(-4), 2**100)
        """,
        "120 12 True\n15511210043330985984000000 5 2j 1267650600228229401496703205376\n",
    ),
    "decimal": (
        """
        from decimal import ROUND_HALF_UP, Decimal, getcontext
        from fractions import Fraction
        cent = Decimal("0.01")
        print(Decimal("0.1") + Decimal("0.2"), Decimal("2.675").quantize(cent, ROUND_HALF_UP))
        getcontext().prec = 30
        print(Decimal(2).sqrt(), Fraction(3, 4) + Fraction("1/6"))
        """,
        "0.3 2.68\n1.41421356237309504880168872421 11/12\n",
    ),
    "textwrap": (
        """
        import textwrap
        text = "The quick brown fox jumps over the lazy dog and runs away."
        print(textwrap.fill(text, 24, subsequent_indent="  "))
        print(textwrap.shorten(text, 20), textwrap.indent("a\\nb", "> ").split("\\n"))
        """,
        (
            "The quick brown fox\n  jumps over the lazy\n  dog and runs away.\n"
            "The quick [...] ['> a', '> b']\n"
        ),
    ),
    "csv": (
        """
        import csv, io
        out = io.StringIO()
        rows = csv.DictWriter(out, ["name", "n"], lineterminator="\\n")
        rows.writeheader()
        rows.writerows([{"name": 'a "b", c', "n": 1}, {"name": "d", "n": 2}])
        print(out.getvalue(), end="")
        print(sum(int(row["n"]) for row in csv.DictReader(io.StringIO(out.getvalue()))))
        """,
        'name,n\n"a ""b"", c",1\nd,2\n3\n',
    ),
    "more": (
        """
        import base64, bisect, collections, functools, hashlib, heapq, random, string, uuid, zlib
        print(collections.Counter("mississippi").most_common(2), heapq.nsmallest(2, [3, 1, 2]))
        print(functools.reduce(lambda a, b: a * b, range(1, 6)), bisect.bisect([1, 3, 5], 4))
        print(hashlib.sha256(b"x").hexdigest()[:8], base64.b64encode(b"hi").decode())
        print(random.Random(7).randint(1, 9) == random.Random(7).randint(1, 9), random.random() < 1)
        print(uuid.uuid4().version, len(zlib.compress(b"a" * 1000)) < 50, string.hexdigits[:3])
        """,
        "[('i', 4), ('s', 4)] [1, 2]\n120 2\n2d711642 aGk=\nTrue True\n4 True 012\n",
    ),
    "asyncio": (
        """
        import asyncio

        async def after(seconds, value):
            await asyncio.sleep(seconds)
            return value

        async def main():
            print(await asyncio.gather(after(0.02, "a"), after(0.01, "b")))
            try:
                await asyncio.wait_for(after(20, "c"), 0.01)
            except TimeoutError:
                print("late")

        asyncio.run(main())
        """,
        "['a', 'b']\nlate\n",
    ),
    "files": (
        """
        import os, pathlib, shutil, tempfile, zipfile
        pathlib.Path("notes").mkdir()
        with open("notes/a.txt", "w", encoding="utf-8") as file:
            print("zażółć", file=file)
        shutil.copy("notes/a.txt", "b.txt")
        with zipfile.ZipFile("both.zip", "w") as both:
            both.write("b.txt")
        print(zipfile.ZipFile("both.zip").read("b.txt").decode().strip(), sorted(os.listdir()))
        with tempfile.TemporaryDirectory(dir=".") as folder:
            pathlib.Path(folder, "x").write_text("x")
        with tempfile.NamedTemporaryFile("w+", dir=".") as file:
            file.write("x")
        for path in ("b.txt", "both.zip", "notes/a.txt"):
            os.remove(path)
        os.rmdir("notes")
        print(list(pathlib.Path().iterdir()))
        """,
        "zażółć ['b.txt', 'both.zip', 'notes']\n[]\n",
    ),
}


def in_test_of_native(name: str, where: str) -> bool:
    """An event loop runs where a native plugin does: it can't run another."""
    return name == "asyncio" and where == "native"


@pytest.mark.parametrize("name", PROGRAMS)
async def test_ordinary_programs_run(
    interpreter: LoadedToolExecutor, name: str, where: str
) -> None:
    if in_test_of_native(name, where):
        pytest.skip("asyncio.run() does not run within an event loop, as a native plugin does")
    code, expected = PROGRAMS[name]
    result = await run(interpreter, code)
    assert (result.stderr, result.stdout, result.exit_code) == ("", expected, 0)
    assert result.artifacts == ()


# Requests and results.


async def test_code_comes_on_stdin_or_as_an_argument(interpreter: LoadedToolExecutor) -> None:
    code = "import sys; print(sys.argv, sys.stdin.read(), __name__)"
    assert (await run(interpreter, code)).stdout == "['-c']  __main__\n"
    request = ToolRunRequest("python", ("-c", code, "a", "b"), "input")
    assert (await interpreter.execute(request, ALL)).stdout == "['-c', 'a', 'b'] input __main__\n"
    for wrong in (("-m", "x"), ("-c",), ("x.py",)):
        result = await interpreter.execute(ToolRunRequest("python", wrong), ALL)
        assert (result.exit_code, result.stderr[:6]) == (2, "usage:")


async def test_what_is_not_allowed_does_not_run(interpreter: LoadedToolExecutor) -> None:
    assert await interpreter.is_allowed("python", ALL) is True
    assert await interpreter.is_allowed("bash", ALL) is False
    assert await interpreter.is_allowed("python", ToolPolicy()) is False
    for command, policy, kind in (
        ("bash", ALL, ErrorKind.NOT_FOUND),
        ("python", ToolPolicy(), ErrorKind.PERMISSION_DENIED),
        ("python", ToolPolicy(True, denied_commands=("py*",)), ErrorKind.PERMISSION_DENIED),
    ):
        with pytest.raises(PluginCallError) as caught:
            await interpreter.execute(ToolRunRequest(command, stdin="print(1)"), policy)
        assert caught.value.kind is kind


async def test_files_go_in_and_out(interpreter: LoadedToolExecutor) -> None:
    code = """
        import os
        with open("in/numbers.txt") as file:
            data = file.read().split()
        os.makedirs("out/deep")
        with open("out/deep/sum.txt", "w") as file:
            file.write(str(sum(map(int, data))))
        with open("changed.bin", "ab") as file:
            file.write(b"!")
        print(sorted(os.listdir()))
    """
    files = {"in/numbers.txt": b"1 2 3\n", "changed.bin": b"\0\xff", "kept.bin": b"\0" * 1000}
    result = await run(interpreter, code, input_files=files)
    assert (result.stdout, result.stderr) == ("['changed.bin', 'in', 'kept.bin', 'out']\n", "")
    made = {Path(one.path).name: one for one in result.artifacts}
    assert {name: one.size for name, one in made.items()} == {"changed.bin": 3, "sum.txt": 1}
    assert await anyio.Path(made["sum.txt"].path).read_text() == "6"
    assert await anyio.Path(made["changed.bin"].path).read_bytes() == b"\0\xff!"
    for name in ("../x", "/x", ""):
        with pytest.raises(PluginCallError) as caught:
            await run(interpreter, "1", input_files={name: b""})
        assert caught.value.kind is ErrorKind.INVALID_REQUEST


async def test_output_is_cut_where_the_policy_says(interpreter: LoadedToolExecutor) -> None:
    code = "import sys\nfor i in range(1000): print('ż' * 9); print('y' * 9, file=sys.stderr)"
    policy = ToolPolicy(True, max_output_bytes=25)
    result = await interpreter.execute(ToolRunRequest("python", stdin=code), policy)
    assert (result.stdout, result.stderr) == (
        "ż" * 9 + "\n" + "ż" * 3,
        ("y" * 9 + "\n") * 2 + "y" * 5,
    )
    assert result.truncated
    assert not (await run(interpreter, "print('x')")).truncated
    binary = await run(interpreter, r"import sys; sys.stdout.buffer.write(b'\xff\n')")
    assert binary.stdout == "\N{REPLACEMENT CHARACTER}\n"


EXITS: dict[str, tuple[str, int, str]] = {
    "nothing": ("", 0, ""),
    "exit": ("import sys; sys.exit(3)", 3, ""),
    "exit-none": ("raise SystemExit", 0, ""),
    "exit-text": ("import sys; sys.exit('no')", 1, "no\n"),
    "exit-negative": ("raise SystemExit(-1)", 255, ""),
    "interrupt": ("raise KeyboardInterrupt", 1, "KeyboardInterrupt\n"),
    "missing": ("import numpy_is_not_here", 1, "No module named 'numpy_is_not_here'"),
    "syntax": ("x = 1\nif x\n", 1, 'File "<code>", line 2\n    if x\n'),
    "indent": ("def f():\nreturn 1", 1, "IndentationError"),
    "nul": ("x = '\0'", 1, "null bytes"),
    "recursion": ("def f(): f()\nf()", 1, "RecursionError: maximum recursion depth exceeded"),
    "group": ("raise ExceptionGroup('all', [ValueError(1)])", 1, "ExceptionGroup: all"),
    "bad-str": (
        "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E",
        1,
        "<exception str() failed>",
    ),
}


@pytest.mark.parametrize(("code", "exit_code", "said"), EXITS.values(), ids=EXITS)
async def test_how_a_program_ends_is_told(
    interpreter: LoadedToolExecutor, code: str, exit_code: int, said: str
) -> None:
    result = await run(interpreter, code)
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert bool(said) == bool(result.stderr)


async def test_a_traceback_has_the_programs_lines(interpreter: LoadedToolExecutor) -> None:
    result = await run(interpreter, "def half(x):\n    return 1 / x\n\nprint('first')\nhalf(0)\n")
    assert (result.exit_code, result.stdout) == (1, "first\n")
    for words in (
        'File "<code>", line 5, in <module>\n    half(0)',
        'File "<code>", line 2, in half\n    return 1 / x',
        "ZeroDivisionError: division by zero",
    ):
        assert words in result.stderr
    assert "code_interpreter" not in result.stderr


# In the sandbox alone.


@SANDBOXED
async def test_nothing_is_left_for_the_next(interpreter: LoadedToolExecutor) -> None:
    leaving = """
        import builtins, json, math, os, sys
        builtins.print = builtins.sorted = None
        builtins.secret = json.secret = sys.secret = 1
        math.pi = 3
        json.dumps = lambda *a: "mine"
        os.environ["SECRET"] = "1"
        sys.modules["re"] = None
        open("left", "w").write("x")
        sys.stdout.write("done")
    """
    looking = """
        import builtins, json, math, os, sys, re
        print(math.pi > 3.1, json.dumps([len("ab")]), os.listdir(), os.environ.get("SECRET"))
        print([hasattr(one, "secret") for one in (builtins, json, sys)], "secret" in globals())
    """
    for _ in range(3):
        assert (await run(interpreter, leaving)).stdout == "done"
        result = await run(interpreter, looking)
        assert result.stdout == "True [2] [] None\n[False, False, False] False\n"


HOSTILE: dict[str, tuple[str, Any]] = {
    # What is expected: an error's type, or what stderr says.
    "loop": ("while True: pass", DeadlineExceededError),
    "print": ("while True: print('x' * 1000)", DeadlineExceededError),
    "sleep": ("import time; time.sleep(1000)", DeadlineExceededError),
    "swallow": (
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
        DeadlineExceededError,
    ),
    "pattern": ("import re; re.match('(a+)+$', 'a' * 50 + '!')", DeadlineExceededError),
    "allocate": ("bytearray(10 * 2**30)", "OverflowError"),
    "allocate-less": ("bytearray(2**30)", "MemoryError"),
    "hoard": ("x = []\nwhile True: x.append('x' * 1_000_000)", "MemoryError"),
    "fork": ("import os\nwhile True: os.fork()", "AttributeError"),
    "run": ("import subprocess; subprocess.run(['ls'])", "does not support processes"),
    "passwd": ("print(open('/etc/passwd').read())", "FileNotFoundError"),
    "passwd-below": (
        "import _io; print(_io.FileIO('/etc/passwd').read())",
        "PermissionError",
    ),
    "host-write": ("open('/tmp/mine', 'w')", "PermissionError"),
    "up": ("print(open('../../etc/passwd').read())", "FileNotFoundError"),
    "data": ("open('/data/x', 'w')", "PermissionError"),
    "connect": ("import socket; socket.create_connection(('1.1.1.1', 80))", "Error"),
    "fetch": ("import urllib.request as r; r.urlopen('http://127.0.0.1')", "Error"),
    "ctypes": ("import ctypes", "ModuleNotFoundError"),
    "threads": ("import threading; threading.Thread(target=print).start()", "RuntimeError"),
    "recursion": ("f = lambda: f()\nf()", "RecursionError"),
    "deeper": (
        "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        (PluginTrapError, MemoryLimitError),
    ),
    "nested-json": ("import json; json.loads('[' * 10**6)", PluginTrapError),
    "fill": ("f = open('x', 'wb')\nwhile True: f.write(b'x' * 100_000)", "may have 1,000,000"),
    "files": ("i = 0\nwhile True: open(f'{i}', 'w').close(); i += 1", "20 files and folders"),
    "close": ("import sys; sys.stdout.close(); sys.stderr.close(); print(1)", "ValueError"),
    "detach": ("import sys; sys.stdout.detach(); print(1)", "ValueError"),
    "builtins": (
        (
            "import builtins\nfor name in ('len', 'isinstance', 'open', 'print'):\n"
            "    delattr(builtins, name)\nprint(1)"
        ),
        "NameError",
    ),
    "no-builtins": ("import builtins; vars(builtins).clear(); print(1)", "NameError"),
    "no-builtins-of-others": ("import io; io.__builtins__.clear(); print(1)", PluginTrapError),
    "modules": ("import sys; sys.modules.clear(); import json", "Error"),
    "os-exit": ("import os; os._exit(0)", "PermissionError"),
    "abort": ("import os; os.abort()", PluginTrapError),
    "posix": ("import posix; posix.listdir('/')", "PermissionError"),
    "posix-exit": ("import posix; posix._exit(0)", PluginTrapError),
    "select": ("import select; select.select([], [], [], 100)", "PermissionError"),
}


@SANDBOXED
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_program_is_survived(host: PluginHost, where: str, name: str) -> None:
    code, expected = HOSTILE[name]
    limits = Limits(deadline_ms=60_000 if isinstance(expected, str) else 10_000)
    if expected is DeadlineExceededError:
        limits = Limits(deadline_ms=1_500)
    async with await loaded(host, where, limits=limits) as interpreter:
        if isinstance(expected, str):
            result = await run(interpreter, code)
            assert result.exit_code == 1
            assert expected in result.stderr
        else:
            with pytest.raises(expected):
                await run(interpreter, code)
        assert (await run(interpreter, "print(6 * 7)")).stdout == "42\n"


@SANDBOXED
async def test_a_timeout_of_the_request_holds(interpreter: LoadedToolExecutor) -> None:
    with pytest.raises(DeadlineExceededError) as caught:
        await run(interpreter, "while True: pass", timeout_ms=300)
    assert caught.value.limit == "timeout_ms"
    assert (await run(interpreter, "print(1)", timeout_ms=20_000)).stdout == "1\n"


@SANDBOXED
async def test_without_a_grant_there_are_no_files(host: PluginHost, where: str) -> None:
    async with await loaded(host, where, policy=Policy()) as interpreter:
        assert (await run(interpreter, "print(1 + 1)")).stdout == "2\n"
        result = await run(interpreter, "open('x', 'w')")
        assert "PermissionError" in result.stderr
        assert "[plugins.code-interpreter.files]" in result.stderr
        with pytest.raises(PluginCallError) as caught:
            await run(interpreter, "1", input_files={"a": b"x"})
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
