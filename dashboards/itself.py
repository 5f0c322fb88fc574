"""The daemon itself: is it alive, how fast it judges, whether people hear of it, and what it runs on."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from dashboards.board import board
from dashboards.looks import NEAR, OK, OVER, steps
from dashboards.overview import NAMED
from dashboards.panels import About, AnyPanel, Column, Place, Query, Scale, grid, lines, number, rows

JOB = '{job="pyrometer"}'
DOWN = "Pyrometer is down or not scraped."
STORE = {1: ("up", OK), 0: ("DOWN", OVER)}


def itself() -> model.Dashboard:
    """The dashboard."""
    return board(
        "daemon",
        title="The daemon itself",
        shows="Is Pyrometer alive and quick, does what it finds reach anybody, and what does it take. A replica "
        "each where there are several.",
        panels=[*_now(), *_latencies(), *_delivery(), *_process(), *_settings()],
    )


def _now() -> list[AnyPanel]:
    named = "{{instance}}"
    return [
        number(
            About(
                "Scraped",
                "Whether Prometheus reaches each replica.",
                "Prometheus knows no target of the job `pyrometer`.",
                "NO TARGET",
            ),
            Query(f"up{JOB}", named),
            place=Place(6, 4),
            scale=Scale("none"),
            steps=steps((0, OVER), (1, OK)),
            said={1: ("UP", OK), 0: ("DOWN", OVER)},
            text=NAMED,
        ),
        number(
            About(
                "Judged", "How long ago each replica last judged. After 10 s it withholds its numbers.", DOWN, "NEVER"
            ),
            Query("max by (instance) (pyrometer_report_age_seconds)", named),
            place=Place(6, 4),
            scale=Scale("s", decimals=1),
            steps=steps((0, OK), (5, NEAR), (10, OVER)),
            text=NAMED,
        ),
        number(
            About(
                "Waiting to be delivered",
                "Notifications that a receiver has not taken yet. It should fall back to 0 within a minute.",
                f"no receiver is configured, so that nobody is told of anything, or {DOWN}",
                "NOBODY IS TOLD",
            ),
            Query("max by (sink) (pyrometer_notifications_pending)", "{{sink}}"),
            place=Place(6, 4),
            scale=Scale("none", decimals=0),
            steps=steps((0, OK), (1, NEAR), (100, OVER)),
            text=NAMED,
        ),
        number(
            About("Store", "Whether each replica's database takes what it is given.", DOWN, "NOT SCRAPED"),
            Query("min by (instance) (pyrometer_store_up)", named),
            place=Place(3, 4),
            scale=Scale("none"),
            steps=steps((0, OVER), (1, OK)),
            said={1: ("UP", OK), 0: ("DOWN", OVER)},
        ),
        number(
            About(
                "Last reload",
                "Whether the last reload of the configuration succeeded; a refused one leaves the running one intact.",
                DOWN,
                "NOT SCRAPED",
            ),
            Query("min by (instance) (pyrometer_config_reload_success)", named),
            place=Place(3, 4),
            scale=Scale("none"),
            steps=steps((0, OVER), (1, OK)),
            said={1: ("TAKEN", OK), 0: ("REFUSED", OVER)},
        ),
    ]


def _quantiles(histogram: str) -> list[Query]:
    rates = f"sum by (le) (rate(pyrometer_{histogram}[$__rate_interval]))"
    return [
        Query(f"histogram_quantile(0.99, {rates})", "p99"),
        Query(f"histogram_quantile(0.5, {rates})", "p50"),
    ]


def _latencies() -> list[AnyPanel]:
    return [
        lines(
            About(
                "Time to judge",
                "One pass of the pipe over everything: half are faster than p50, one of a hundred is slower than p99.",
                f"nothing was judged, or {DOWN}",
                "NOTHING WAS JUDGED",
            ),
            *_quantiles('stage_seconds_bucket{stage="judge"}'),
            place=Place(8, 8),
            scale=Scale("s"),
        ),
        lines(
            About(
                "Time to detect",
                "From a node telling of a block to the findings on it being handed to the receivers.",
                f"no block came, or {DOWN}",
                "NO BLOCK CAME",
            ),
            *_quantiles("detection_seconds_bucket"),
            place=Place(8, 8),
            scale=Scale("s"),
        ),
        lines(
            About("Passes of the pipe", "How often each replica judges, in a second.", DOWN, "NOTHING WAS JUDGED"),
            Query(
                'sum by (instance) (rate(pyrometer_stage_seconds_count{stage="judge"}[$__rate_interval]))',
                "{{instance}}",
            ),
            place=Place(8, 8),
            scale=Scale("short"),
        ),
    ]


def _delivery() -> list[AnyPanel]:
    return [
        lines(
            About(
                "Notifications",
                "What each receiver was sent within each step, by result: delivered, failed (it is tried again), "
                "refused for good.",
                f"nothing was ever sent to any receiver, or {DOWN}",
                "NOTHING WAS SENT",
            ),
            Query(
                "sum by (sink, result) (increase(pyrometer_notifications_total[$__rate_interval]))",
                "{{sink}}: {{result}}",
            ),
            place=Place(12, 8),
            scale=Scale("short", decimals=0, soft_most=2),
        ),
        lines(
            About(
                "Waiting to be delivered",
                "Notifications not delivered yet; of a broker, topics whose newest state it has not taken.",
                f"no receiver is configured, so that nobody is told of anything, or {DOWN}",
                "NOBODY IS TOLD",
            ),
            Query("max by (sink) (pyrometer_notifications_pending)", "{{sink}}"),
            place=Place(12, 8),
            scale=Scale("none", decimals=0, soft_most=2),
        ),
    ]


def _process() -> list[AnyPanel]:
    silent = f"the system does not tell (it is no Linux), or {DOWN}"
    found: list[AnyPanel] = []
    for title, shows, expr, unit in (
        ("Processor", "Cores in use.", f"rate(process_cpu_seconds_total{JOB}[$__rate_interval])", "short"),
        ("Memory", "Resident.", f"process_resident_memory_bytes{JOB}", "bytes"),
        (
            "Open files",
            "Sockets among them, over how many it may open.",
            f"process_open_fds{JOB} / process_max_fds{JOB}",
            "percentunit",
        ),
        ("Time to scrape", "How long Prometheus waits for /metrics.", f"scrape_duration_seconds{JOB}", "s"),
    ):
        found.append(
            lines(
                About(title, shows, silent, "NOT TOLD"),
                Query(expr, "{{instance}}"),
                place=Place(6, 7),
                scale=Scale(unit),
            )
        )
    return found


def _settings() -> list[AnyPanel]:
    digest = 'label_replace(pyrometer_config_info, "digest", "$1", "sha256", "(.{12}).*")'
    return [
        rows(
            About(
                "Store",
                "When each replica's database took what it was given. Without it findings are still told, and "
                "kept in memory.",
                DOWN,
                "NOT SCRAPED",
            ),
            Query("min by (instance) (pyrometer_store_up)", "{{instance}}"),
            place=Place(12, 5),
            said=STORE,
        ),
        grid(
            About(
                "Configuration",
                "What each replica runs on: replicas with other digests judge by other rules.",
                DOWN,
                "NOT SCRAPED",
            ),
            Column("replica", label="instance"),
            Column("digest", label="digest"),
            Column(
                "loaded",
                expr=f"max by (instance, digest) ({digest} * on (instance) group_left ()"
                " pyrometer_config_reload_timestamp_seconds * 1000)",
                unit="dateTimeAsIso",
            ),
            place=Place(12, 5),
        ),
    ]
