"""What docs/changes.md tells people to do when secrets and wallets change, done by its very commands."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.anvil import AnvilNode
from tests.system.daemon import running_daemon
from tests.system.exchange import ETHER, config, fund
from tests.system.operators import DEAD, PEOPLE, at_work, audited, entries, guarded, is_ready
from tests.system.written import require, written

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

NEW = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


async def test_a_token_is_replaced_without_a_moment_in_which_none_is_good(tmp_path: Path) -> None:
    require("openssl", "curl", "jq", "sqlite3")
    whole = config(DEAD, api=guarded(tmp_path, {"deploy": "old-throw-away"}))
    async with running_daemon(tmp_path, whole) as daemon, at_work(daemon, token="old-throw-away") as it:
        await it.follow(written("changes.md", under="## Rotating API tokens"))
        assert [one["who"] for one in daemon.log if one["event"] == "reloaded"] == ["deploy", "deploy-2"]
        digest = hashlib.sha256(daemon.file.read_bytes()).hexdigest()
        assert [one["body"] for one in audited(tmp_path)] == [{"sha256": digest}] * 2


async def test_a_tokens_file_that_is_wrong_leaves_the_old_tokens_good(tmp_path: Path) -> None:
    whole = config(DEAD, api=guarded(tmp_path, PEOPLE))
    async with running_daemon(tmp_path, whole) as daemon:
        twice = [*entries(**PEOPLE), *entries(aya="another")]
        (tmp_path / "tokens.yaml").write_text(yaml.safe_dump(twice))
        status, body = await daemon.ask("/-/reload", method="POST", token=PEOPLE["aya"])
        assert status == 422
        assert "has this name already" in body["detail"]
        assert (await daemon.ask("/api/v1/status", token=PEOPLE["ben"]))[0] == 200
        assert (await daemon.ask("/api/v1/status", token="another"))[0] == 401


@pytest.mark.parametrize(
    ("section", "secret", "file"),
    [
        ("mqtt", {"host": "127.0.0.1", "port": 9, "username": "p", "password_file": "secret"}, "throw-away"),
        ("alertmanager", {"endpoints": [{"url_file": "secret"}]}, "http://p:throw-away@127.0.0.1:9"),
    ],
)
async def test_a_password_that_takes_a_restart_holds_up_every_reload_until_then(
    tmp_path: Path, section: str, secret: dict[str, Any], file: str
) -> None:
    (tmp_path / "secret").write_text(file)
    whole = config(DEAD, **{section: secret})
    async with running_daemon(tmp_path, whole) as daemon:
        assert (await daemon.ask("/-/reload", method="POST"))[0] == 200
        (tmp_path / "secret").write_text(file.replace("throw-away", "thrown-away"))
        status, body = await daemon.ask("/-/reload", method="POST")
        assert status == 422
        assert body["detail"].endswith(f"{section} differs from the running configuration; restart to change it")
        assert "throw" not in str(body)
        await daemon.stop()
        await daemon.start()
        assert (await daemon.ask("/-/reload", method="POST"))[0] == 200


async def test_a_wallet_is_added_by_two_people_and_the_audit_log_has_the_digest_that_the_second_checked(
    tmp_path: Path,
) -> None:
    require("curl", "jq", "sqlite3")
    (tmp_path / "edits").write_text(EDITS)
    began = int(datetime.now(UTC).timestamp()) - 1000
    async with AnvilNode(genesis_time=began) as anvil, AnvilNode(genesis_time=began) as other:
        for node in (anvil, other):
            await fund(node, hot=10_000, cold=990_000)
            await node.set_balances({NEW: 7 * ETHER})
            await node.rpc("evm_setNextBlockTimestamp", began + 500)
            await node.mine()
        assert await anvil.head() == await other.head()
        whole = config(anvil.url, api=guarded(tmp_path, PEOPLE))
        async with running_daemon(tmp_path, whole) as daemon:
            daemon.token = PEOPLE["ben"]
            await is_ready(daemon)
            around = {"EDITOR": f"python3 {tmp_path / 'edits'}", "OTHER": other.url}
            async with at_work(daemon, token=PEOPLE["ben"], **around) as it:
                await it.follow(written("changes.md", under="## Adding a wallet safely"))
            digest = hashlib.sha256(daemon.file.read_bytes()).hexdigest()
            (record,) = audited(tmp_path)
            assert (record["who"], record["what"], record["body"]) == ("ben", "reload", {"sha256": digest})
            assert (await daemon.get("/api/v1/config"))["sha256"] == digest
            assert (await daemon.get("/api/v1/gate/eth-cold-2"))["gate"] == "open"


EDITS = f"""
import sys, yaml
text = yaml.safe_load(open(sys.argv[1]))
text["wallets"]["eth-cold-2"] = {{"chain": "ethereum", "tier": "cold", "addresses": ["{NEW}"]}}
yaml.safe_dump(text, open(sys.argv[1], "w"), sort_keys=False)
"""
