"""`flashroom hub`: one hub, or several on one port; the kernel spreads viewers over them (SO_REUSEPORT)."""

from __future__ import annotations

from live import processes
from live.settings import Settings
from live.supervisor import supervise


def run(settings: Settings) -> None:
    """Serve until SIGTERM, then ask viewers to come back elsewhere and end. Raises CannotStart."""
    if settings.hub_processes > 1:
        environments = [{"FLASHROOM_HUB_PROCESSES": "1"}] * settings.hub_processes
        processes.run_until_stopped(lambda stop: supervise("hub", environments, stop))
        return
    from live.hub_service import serve  # half a second that a supervisor doesn't need

    processes.run_until_stopped(lambda stop: serve(settings, stop))
