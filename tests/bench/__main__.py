"""`python -m tests.bench [NAME]`: runs all benchmarks or the named one; one JSON object a line.

`ours` and `peer` are measured in the same run on the same machine, lower is better; `ratio` is peer over ours: how many
times as fast we are.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping

from tests.bench.bitcoin_blocks import btc_block_cost, btc_block_verified, btc_block_vs_bitcoinlib, btc_memory
from tests.bench.bitcoin_derive import btc_derive
from tests.bench.evm import evm_balances_vs_web3
from tests.bench.judging import judge_cost
from tests.bench.movements import movements_per_second
from tests.bench.on_duty import on_duty
from tests.bench.replay import replay_events_per_second
from tests.bench.reporting import report_year

Result = dict[str, object]

BENCHES: Mapping[str, Callable[[], Coroutine[None, None, Result]]] = {
    "btc_block_cost": btc_block_cost,
    "btc_block_verified": btc_block_verified,
    "btc_block_vs_bitcoinlib": btc_block_vs_bitcoinlib,
    "btc_derive": btc_derive,
    "btc_memory": btc_memory,
    "evm_balances_vs_web3": evm_balances_vs_web3,
    "judge_cost": judge_cost,
    "movements_per_second": movements_per_second,
    "on_duty": on_duty,
    "replay_events_per_second": replay_events_per_second,
    "report_year": report_year,
}


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in BENCHES]
    if unknown:
        sys.stderr.write(f"no benchmark is called {unknown[0]}; there are: {', '.join(BENCHES)}\n")
        return 2
    for name in arguments or BENCHES:
        sys.stdout.write(json.dumps(asyncio.run(BENCHES[name]()), ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
