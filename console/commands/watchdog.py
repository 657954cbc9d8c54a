"""``kaimen watchdog``: settings enter, the process that watches the others runs until it is stopped."""

from __future__ import annotations

import sys

import click
from pydantic import ValidationError

from alerts.channels import ChannelSettingsError
from alerts.watchdog.service import main
from kaimen.settings import WatchdogSettings


@click.command(name="watchdog")
def command() -> None:
    """Look at everything once a minute, tell an own channel, and ping a far dead man's switch.

    Settings: KAIMEN_WATCHDOG_*, KAIMEN_DATABASE_URL.
    """
    try:
        sys.exit(main(WatchdogSettings()))
    except ValidationError as error:
        lines = [
            f"  KAIMEN_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors()
        ]
        raise click.ClickException("these settings do not fit:\n" + "\n".join(lines)) from error
    except ChannelSettingsError as error:
        raise click.ClickException(str(error)) from error
