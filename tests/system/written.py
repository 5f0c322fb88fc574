"""Commands as the documentation writes them, run in their order by a real shell, with what they must print."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.daemon import PATIENCE, ROOT, env

DOCS = ROOT / "docs"
ANYTHING = "…"
"""Where it stands in what is shown, anything may stand; alone on a line, any lines, or none."""

PACKAGES = {"amtool": "prometheus-alertmanager", "pg_dump": "postgresql-client", "psql": "postgresql-client"}

Hook = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Step:
    """One command, and the lines that it is shown to print."""

    command: str
    shown: tuple[str, ...]


def written(page: str, *, under: str) -> list[Step]:
    """The commands of a chapter's `console` blocks, each a line that begins with `$ `; it ends at the next heading."""
    _, _, chapter = (DOCS / page).read_text().partition(f"\n{under}\n")
    assert chapter, f"{page} has no chapter {under}"
    chapter = re.split(r"^#+ ", chapter, maxsplit=1, flags=re.M)[0]
    blocks = re.findall(r"^```console\n(.*?)^```", chapter, re.M | re.S)
    steps: list[Step] = []
    for line in "".join(blocks).splitlines():
        if line.startswith("$ "):
            steps.append(Step(line[2:], ()))
        else:
            steps[-1] = Step(steps[-1].command, (*steps[-1].shown, line))
    assert steps, f"{under} of {page} has no commands"
    return steps


class Shell:
    """A bash that keeps its variables and its folder from one command to the next."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, command: str, *, seconds: float = 4 * PATIENCE) -> tuple[int, list[str]]:
        """Exit code, and the lines of both its outputs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        mark = f"----{os.urandom(8).hex()}"
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\ncode=$?; echo; echo {mark} $code\n".encode())
        lines: list[str] = []
        async with asyncio.timeout(seconds):
            while not (line := (await self._process.stdout.readline()).decode()).startswith(mark):
                assert line, f"the shell has ended in {command!r}, after {lines}"
                lines.append(line.rstrip())
        while lines and not lines[-1]:
            lines.pop()
        return int(line.split()[1]), lines

    async def follow(self, steps: Sequence[Step], *, hooks: Mapping[str, Hook] | None = None) -> None:
        """Runs them one by one; what they print must be what is shown. `hooks` stand for commands of the system."""
        for step in steps:
            hook = (hooks or {}).get(step.command)
            if hook is not None:
                await hook()
                continue
            _, lines = await self.run(step.command)
            assert matches(step.shown, lines), f"{step.command}\nprinted {lines}\ninstead of {list(step.shown)}"


def matches(shown: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether the lines are those that are shown, `…` standing for anything."""
    return re.fullmatch(pattern(shown), "".join(f"{line}\n" for line in lines)) is not None


def pattern(shown: Sequence[str]) -> str:
    def part(line: str) -> str:
        if line == ANYTHING:
            return r"(?:.*\n)*?"
        return ".*?".join(map(re.escape, line.rstrip().split(ANYTHING))) + r"\n"

    return "".join(map(part, shown))


@asynccontextmanager
async def shell(folder: Path, *, variables: Mapping[str, str]) -> AsyncIterator[Shell]:
    """A bash in this folder, for which `pyrometer` is this program."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / "pyrometer"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m daemon "$@"\n')
    program.chmod(0o755)
    around = {**env(), **variables, "PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    process = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc", "-u"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env=around,
        limit=2**20,
    )
    try:
        yield Shell(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def require(*programs: str) -> None:
    """Skips the test where one is missing that the written commands call; a failure in CI."""
    for name in programs:
        if shutil.which(name) is None:
            reason = f"{name} is missing: apt-get install {PACKAGES.get(name, name)}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
