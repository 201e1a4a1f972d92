"""``firstlight lab acs | certificate``: an ACS with thousands of simulated CPEs, to try campaigns on before customers;
and a certificate to try the technicians' page on phones with."""

from __future__ import annotations

import asyncio
import shlex
import signal
from pathlib import Path
from typing import Annotated

import typer

from provisioning.bootstrap import utc_now
from provisioning.cli.printing import print_json, say
from provisioning.cli.running import AsJson, guarded
from provisioning.settings import PREFIX

app = typer.Typer(no_args_is_help=True, help="Laboratories: what an operator may break without harm.")


@app.callback()
def laboratories() -> None:
    """Laboratories: what an operator may break without harm."""


@app.command()
def acs(
    cpes: Annotated[int, typer.Option(min=1, max=50_000, help="How many CPEs, TR-181 and TR-098 by turns.")] = 1000,
    honest: Annotated[
        bool, typer.Option("--honest", help="None of them offline, behind NAT, lying, refusing, resetting, slow.")
    ] = False,
    inform: Annotated[int, typer.Option(min=10, help="Seconds from one Inform of a CPE to the next.")] = 300,
    workers: Annotated[int, typer.Option(min=1, max=64, help="CWMP workers; each takes 20 sessions.")] = 1,
    host: Annotated[str, typer.Option(help="Where the NBI listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 is any free one.")] = 7557,
    json_: AsJson = False,
) -> None:
    """Run a lab ACS until it is interrupted; it answers as a GenieACS 1.2.16 does. Everything is in memory."""

    # imported where it is needed: no other command pays for it
    from acs.testing import HONEST, SHARES, LabAcs, WallClock, populate, serial_of

    async def live() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        lab = LabAcs(WallClock())
        lab.cwmp.max_sessions = 20 * workers
        tempers = populate(lab, cpes, shares=HONEST if honest else SHARES, inform_interval_seconds=inform)
        await lab.start(host, port)
        try:
            serials = [serial_of(0), serial_of(cpes - 1)]
            _tell(lab.url, serials, cpes, dict(sorted(tempers.items())), as_json=json_)
            await ended.wait()
        finally:
            await lab.stop()

    asyncio.run(live())


@app.command()
def certificate(
    folder: Annotated[Path, typer.Option(help="Where the CA is kept, and the certificate put.")] = Path(".lab/tls"),
    name: Annotated[
        list[str] | None,
        typer.Option(help="A further host name or private address of this server, as often as there are some."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Make a server's certificate by a CA of the laboratory's own, which is made where there is none yet."""
    from provisioning.lab.authority import certify, lan_addresses, names_here
    from provisioning.lab.phone import EVERYWHERE, PORT

    made = guarded(lambda: certify(folder, name or [], besides=names_here(), now=utc_now()), as_json=json_)
    files = {"authority": made.authority, "certificate": made.certificate, "key": made.key}
    if json_:
        paths = {what: str(path) for what, path in files.items()}
        until = made.authority_until.isoformat()
        told = {"names": made.names, "authority_until": until, "authority_is_new": made.authority_is_new}
        print_json(paths | told)
        return
    say(f"good for {', '.join(made.names)}")
    say(f"whoever trusts {made.authority} trusts this server, until {made.authority_until:%Y-%m-%d}:")
    given = f"--certificate {shlex.quote(str(made.certificate))} --key {shlex.quote(str(made.key))}"
    host = next(iter(lan_addresses()), "localhost")
    say(f"  {PREFIX}PUBLIC_URL=https://{host}:{PORT} firstlight serve --host {EVERYWHERE} --port {PORT} {given}")


def _tell(url: str, serials: list[str], cpes: int, tempers: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, "cpes": cpes, "tempers": tempers, "serials": serials})
        return
    say(f"{cpes} CPEs, {serials[0]} to {serials[1]}: " + ", ".join(f"{many} {each}" for each, many in tempers.items()))
    say(f"the NBI answers at {url}; a Firstlight for it:")
    say(f"  export FIRSTLIGHT_GENIEACS_NBI_URL={url}")
    say("  firstlight devices unknown    # after `devices sweep`; bind some (devices provision, devices import), then:")
    say("  firstlight devices sweep && firstlight devices converge --all-not-converged")
