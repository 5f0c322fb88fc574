"""The command line and its exit codes, nothing else."""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version as installed_version
from pathlib import Path

import uvloop
from rich.console import Console

from daemon import logs, version
from daemon.app import opened, utc_now
from daemon.check import ask_everything
from daemon.demo import play_demo
from daemon.emit import rendering
from daemon.errors import ConfigError, Fatal
from daemon.model import Judgement
from daemon.once import look
from daemon.policy import worst
from daemon.reload import Loaded, load_whole
from daemon.settings import schema
from daemon.table import print_report

OK, FATAL, BAD_CONFIGURATION, BREACH, UNKNOWN = 0, 1, 2, 3, 4

LIBRARIES = ("web3", "aiohttp", "SQLAlchemy", "aiosqlite", "prometheus-client", "pydantic", "structlog", "uvloop")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code is documented in docs/commands.md."""
    arguments = _parser().parse_args(argv)
    code = OK
    try:
        code = arguments.command(arguments)
    except* ConfigError as errors:
        err.print(f"pyrometer: {_first(errors)}")
        code = BAD_CONFIGURATION
    except* Fatal as errors:
        err.print(f"pyrometer: {_first(errors)}")
        code = FATAL
    return code


def _run(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments)
    logs.configure(level=loaded.settings.log.level, as_json=loaded.settings.log.format == "json")

    async def serve(stop: asyncio.Event) -> None:
        async with opened(loaded, env=os.environ) as app:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.request_reload)
            await app.run(stop)

    return _until_stopped(serve)


def _once(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments)
    logs.configure(level="error", as_json=False)
    seen = uvloop.run(look(loaded, now=utc_now))
    if arguments.json:
        body = rendering.report(seen.report, now=utc_now())
        if arguments.accounts:
            for wallet, readings in seen.accounts.items():
                body["wallets"][wallet]["readings"] = readings
        sys.stdout.write(json.dumps(body) + "\n")
    else:
        print_report(seen.report, console=out)
    return {Judgement.OK: OK, Judgement.BREACH: BREACH, Judgement.UNKNOWN: UNKNOWN}[worst(seen.report.verdicts)]


def _check(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments)
    logs.configure(level="error", as_json=False)
    for warning in loaded.settings.warnings():
        out.print(f"warning  {warning}", markup=False, soft_wrap=True)
    setup = loaded.setup
    counts = f"{len(setup.inventory.wallets)} wallets, {len(setup.inventory.wallet_of)} accounts"
    out.print(f"ok       {arguments.config}: {counts}, {len(setup.policies)} rules", markup=False, soft_wrap=True)
    return uvloop.run(_ask(loaded)) if arguments.live else OK


async def _ask(loaded: Loaded) -> int:
    code = OK
    async for answer in ask_everything(loaded, now=utc_now):
        word, tail = ("ok", "") if answer.trouble is None else ("FAILED", f": {answer.trouble}")
        out.print(f"{word:<8} {answer.what}{tail}", markup=False, soft_wrap=True)
        code = code if answer.trouble is None else UNKNOWN
    return code


def _demo(arguments: argparse.Namespace) -> int:
    logs.configure(level="error", as_json=False)
    return _until_stopped(lambda stop: play_demo(stop, env=os.environ, console=out, speed=arguments.speed))


def _schema(_arguments: argparse.Namespace) -> int:
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    return OK


def _version(_arguments: argparse.Namespace) -> int:
    out.print(f"pyrometer {version()}\nPython {platform.python_version()}")
    for library in LIBRARIES:
        out.print(f"{library} {installed_version(library)}")
    return OK


def _until_stopped(serve: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Runs until SIGTERM or SIGINT, then lets it end by itself."""

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(stop)

    uvloop.run(run())
    return OK


def _loaded(arguments: argparse.Namespace) -> Loaded:
    return load_whole(arguments.config, env=os.environ, now=utc_now())


def _first(errors: BaseExceptionGroup) -> BaseException:
    """The first error of a group of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pyrometer", description="How much of an exchange's money is hot, live.")
    verbs = parser.add_subparsers(required=True, metavar="command")
    verbs.add_parser("run", parents=[_configured(_run)], help="the daemon")
    once = verbs.add_parser("once", parents=[_configured(_once)], help="read everything once, judge, print")
    once.add_argument("--json", action="store_true", help="print the report as one JSON object")
    once.add_argument("--accounts", action="store_true", help="with --json: every account's units too")
    check = verbs.add_parser("check", parents=[_configured(_check)], help="validate a configuration")
    check.add_argument("--live", action="store_true", help="also ask every node, the store and every Alertmanager")
    demo = verbs.add_parser("demo", help="a replayed day of an invented exchange, in 90 seconds")
    demo.add_argument("--speed", type=float, default=960.0, metavar="N", help="story seconds a second (960)")
    demo.set_defaults(command=_demo)
    verbs.add_parser("schema", help="JSON Schema of the configuration").set_defaults(command=_schema)
    verbs.add_parser("version", help="versions of the program and its main libraries").set_defaults(command=_version)
    return parser


def _configured(command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """What the verbs that take a configuration share."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--config", type=Path, required=True, metavar="F", help="the configuration file")
    parent.set_defaults(command=command)
    return parent


if __name__ == "__main__":
    sys.exit(main())
