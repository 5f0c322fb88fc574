"""The command line and its exit codes, nothing else."""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from importlib.metadata import version as installed_version
from pathlib import Path

import uvloop
from rich.console import Console

from daemon import auditing, logs, version
from daemon.app import opened, utc_now
from daemon.check import ask_everything
from daemon.demo import play_demo
from daemon.emit import rendering
from daemon.errors import ConfigError, Fatal
from daemon.garbage import collect_seldom
from daemon.model import Judgement
from daemon.once import look
from daemon.policy import worst
from daemon.reload import Loaded, load_whole
from daemon.replay.catalogue import shipped
from daemon.replay.command import Wanted, own_policies, replay_all, replay_one
from daemon.replay.scenario import scenario_schema
from daemon.replay.trial import ADVERSE, AS_IT_WAS
from daemon.reporting.command import made
from daemon.reporting.rendering import FORMATS, rendered
from daemon.reporting.reporter import gaps
from daemon.settings import schema
from daemon.systemd import Systemd
from daemon.table import print_report

OK, FATAL, BAD_CONFIGURATION, BREACH, UNKNOWN, UNMET, TAMPERED = 0, 1, 2, 3, 4, 5, 6

INTERRUPTED = 130
"""As a shell has it: 128 and the number of SIGINT."""

FASTEST = 86_400.0
"""Simulated seconds a second: a day in one."""

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
    except* KeyboardInterrupt:
        code = INTERRUPTED
    except* Fatal as errors:
        err.print(f"pyrometer: {_first(errors)}")
        code = FATAL
    return code


def _run(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments)
    logs.configure(level=loaded.settings.log.level, as_json=loaded.settings.log.format == "json")

    async def serve(stop: asyncio.Event) -> None:
        systemd = Systemd.of(os.environ)
        async with opened(loaded, env=os.environ, reloading=systemd.reloading) as app, systemd.told_of(stop):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.request_reload)
            collect_seldom()
            await app.run(stop, ready=systemd.listening, more=(systemd,))

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


def _replay(arguments: argparse.Namespace) -> int:
    logs.configure(level="error", as_json=False)
    wanted = Wanted(
        trial=ADVERSE if arguments.adverse else AS_IT_WAS,
        policies=own_policies(arguments.policy) if arguments.policy else None,
        speed=arguments.speed,
        alertmanagers=arguments.alertmanager,
        mqtt=arguments.mqtt,
    )
    if arguments.all:
        return OK if uvloop.run(replay_all(wanted=wanted, console=out, as_json=arguments.json)) else UNMET
    one = replay_one(arguments.scenario, wanted=wanted, console=out, as_json=arguments.json)
    return OK if uvloop.run(one) else UNMET


def _report(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments)
    logs.configure(level="error", as_json=False)
    row = uvloop.run(made(loaded, day=arguments.date))
    sys.stdout.write(rendered(row, form=arguments.format))
    return UNKNOWN if gaps(row) else OK


def _audit(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments)
    logs.configure(level="error", as_json=False)
    found = uvloop.run(auditing.audited(loaded, holds=arguments.holds))
    sys.stdout.write((json.dumps(auditing.as_json(found)) if arguments.json else auditing.told(found)) + "\n")
    return OK if found.holds else TAMPERED


def _schema(arguments: argparse.Namespace) -> int:
    wanted = scenario_schema() if arguments.scenario else schema()
    sys.stdout.write(json.dumps(wanted, indent=2) + "\n")
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
    check.add_argument("--live", action="store_true", help="also ask every node, source and receiver, and the store")
    report = verbs.add_parser("report", parents=[_configured(_report)], help="the daily report of a stored day")
    report.add_argument("--date", type=_date, required=True, metavar="D", help="the day, such as 2026-11-23")
    report.add_argument("--format", choices=FORMATS, default="md", help="md, json (what is hashed), csv or html")
    demo = verbs.add_parser("demo", help="the whole daemon before the night of Coincheck, in 90 seconds")
    demo.add_argument("--speed", type=_speed, default=600.0, metavar="N", help="simulated seconds a second (600)")
    demo.set_defaults(command=_demo)
    _add_replay(verbs)
    _add_audit(verbs)
    of = verbs.add_parser("schema", help="JSON Schema of the configuration")
    of.add_argument("--scenario", action="store_true", help="of a scenario for `replay` instead")
    of.set_defaults(command=_schema)
    verbs.add_parser("version", help="versions of the program and its main libraries").set_defaults(command=_version)
    return parser


def _add_replay(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    replay = verbs.add_parser("replay", help="play an incident through the real connectors and rules")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("scenario", nargs="?", metavar="NAME|FILE", help=f"one of {', '.join(shipped())}, or a file")
    which.add_argument("--all", action="store_true", help="every scenario that comes with the program: the scoreboard")
    replay.add_argument(
        "--policy", metavar="P", help="a preset, or a file of rules, instead of the scenario's policies"
    )
    replay.add_argument(
        "--speed", type=_speed, metavar="N", help="simulated seconds a second; default: as fast as can be"
    )
    replay.add_argument("--adverse", action="store_true", help="slow, failing and lying nodes, and a reorganisation")
    replay.add_argument(
        "--alertmanager", action="append", default=[], metavar="URL", help="ring there too, as a drill; may be repeated"
    )
    replay.add_argument("--mqtt", metavar="URL", help="publish there too: mqtt://host:port[/prefix]")
    replay.add_argument("--json", action="store_true", help="print what came of it as one JSON object")
    replay.set_defaults(command=_replay)


def _add_audit(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    audit = verbs.add_parser("audit", help="the audit log").add_subparsers(required=True, metavar="what")
    verify = audit.add_parser("verify", parents=[_configured(_audit)], help="recompute the hash chain of the log")
    verify.add_argument("--holds", metavar="SHA256", help="a hash published earlier, which a record must have")
    verify.add_argument("--json", action="store_true", help="print the result, with the last hash, as one JSON object")


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= FASTEST:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and at most {FASTEST:g}, found {text}")
    return speed


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-11-23, found {text}") from None


def _configured(command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """What the verbs that take a configuration share."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--config", type=Path, required=True, metavar="F", help="the configuration file")
    parent.set_defaults(command=command)
    return parent


if __name__ == "__main__":
    sys.exit(main())
