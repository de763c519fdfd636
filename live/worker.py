"""`flashroom worker`: everything that happens without anybody asking. Each job may run twice, or in several workers at once.

Correctness never rests on which worker runs: SQL's compare-and-sets and the versions of what is published decide.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from typing import Final

import httpx
from redis.exceptions import RedisError
from sqlalchemy import select

from commerce import idempotency, invariants, outbox, reconciliation
from commerce.clock import wall_clock_ms
from commerce.merchant_webhooks import deliveries
from commerce.outbox import OutboxEvent
from commerce.schema import outbox as outbox_table
from live import approvals, followers, metrics, processes, reminders, replay_edits, rooms, samples
from live.jobs import Job, run_jobs
from live.media import deleted_recordings
from live.media.on_air import OnAir
from live.metrics import WorkerMetrics
from live.processes import CannotStart
from live.samples import Sampler
from live.settings import Settings
from live.wait_list_places import Places
from live.webhook_sender import WebhookSender
from live.wiring import Wiring, connected
from realtime.publisher import BrokerUnavailable

log = logging.getLogger("flashroom.worker")

LIMIT: Final = 100
WEBHOOK_TIMEOUT_S: Final = 5.0
MAX_LOGGED_VIOLATIONS: Final = 20


def run(settings: Settings) -> None:
    """Work until SIGTERM. Raises CannotStart when Redis stays silent or the tables are missing."""
    processes.run_until_stopped(lambda stop: serve(settings, stop))


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """All jobs until `stop`, with /healthz, /readyz and /metrics on FLASHROOM_WORKER_PORT where it is set."""
    numbers = WorkerMetrics()
    async with AsyncExitStack() as stack:
        show = await stack.enter_async_context(connected(settings))
        client = await stack.enter_async_context(
            httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT_S, trust_env=False, follow_redirects=False)
        )
        if settings.worker_port:
            await _serve_metrics(settings, numbers, stack)
        log.info("worker is at work")
        await run_jobs(Worker(show, client, numbers).jobs(), stop, numbers)


async def _serve_metrics(settings: Settings, numbers: WorkerMetrics, stack: AsyncExitStack) -> None:
    pages = {
        "/healthz": lambda: (200, b"ok\n"),
        "/readyz": lambda: (200, b"ready\n"),
        "/metrics": lambda: (200, numbers.text()),
    }
    try:
        server = await metrics.serve(settings.host, settings.worker_port, pages)
    except OSError as error:
        raise CannotStart(
            f"Port {settings.worker_port} is taken ({error.strerror}): set FLASHROOM_WORKER_PORT to another, or to 0 for none."
        ) from None
    stack.callback(server.close)


class Worker:
    """The jobs, each one bounded piece of work per call that gives how many things it dealt with."""

    def __init__(
        self,
        show: Wiring,
        client: httpx.AsyncClient,
        numbers: WorkerMetrics,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._show = show
        self._client = client
        self._numbers = numbers
        self._clock_ms = clock_ms
        self._alarmed: frozenset[str] = frozenset()
        self._on_air = OnAir(show.broker)
        self._places = Places(show.hot_ledger, show.broker)
        self._sampler = Sampler(show.database, show.hot_ledger, show.broker, clock_ms)
        sender = WebhookSender(client, allow_private=not show.settings.is_production)
        key = show.settings.key("merchant webhook")
        self._merchants = deliveries.Sender(show.database, key, sender.post, clock_ms)

    def jobs(self) -> list[Job]:
        """What runs how often. Short intervals belong to jobs that look with one indexed read and mostly find nothing."""
        cashier = self._show.cashier
        return [
            Job("heartbeat", processes.HEARTBEAT_INTERVAL_S, self.beat),
            Job("timers", 0.25, self.run_timers),
            Job("relay", 0.15, self.relay, again_at=LIMIT),
            Job("sweep", 0.5, self.sweep),
            Job("reminders", 0.5, self.tell_reminders, again_at=LIMIT),
            Job("followers", 1.0, self.tell_followers, again_at=LIMIT),
            Job("log", 0.5, self.persist_logs, again_at=LIMIT),
            Job("inbox", 0.4, _counted(cashier.process_inbox), again_at=LIMIT),
            Job("polls", 1.0, _counted(cashier.poll_open_attempts)),
            Job("let go", 0.5, _counted(cashier.let_go), again_at=LIMIT),
            Job("refunds", 1.0, _counted(cashier.send_refunds)),
            Job("webhooks", 0.4, self.deliver_webhooks),
            Job("merchants", 0.5, self.send_merchant_webhooks, timeout_s=50.0),
            Job("reconcile", 1.0, self.reconcile),
            Job("media", 0.5, self.end_silent_video),
            Job("values", 2.0, self.publish_values),
            Job("samples", 1.0, self._sampler.run),
            Job("invariants", 60.0, self.check_invariants, timeout_s=60.0),
            Job("tidy", 60.0, self.tidy, timeout_s=60.0),
            Job("deleted recordings", 10.0, self.forget_replay_edits, again_at=LIMIT),
        ]

    async def beat(self) -> int:
        """Say in Redis that a worker is there."""
        await processes.beat(self._show.redis, "worker", self._clock_ms())
        return 1

    async def end_silent_video(self) -> int:
        """Tell rooms that their host is away when the media process can't say it any more."""
        return await self._on_air.end_silent(self._clock_ms())

    async def run_timers(self) -> int:
        """Open, close, settle and publish sales whose time has come, and show it at once."""
        changed = await self._show.sale_desk.tick(self._clock_ms())
        for sale in changed:
            await self._show.projector.publish_sale(sale)
        return len(changed)

    async def relay(self) -> int:
        """Hand outbox events to the rooms. A relay takes a lease, which is a write: with nothing waiting none is made."""
        async with self._show.database.read() as c:
            waiting = select(outbox_table.c.outbox_id).where(outbox_table.c.sent_at_ms.is_(None)).limit(1)
            if (await c.execute(waiting)).first() is None:
                return 0
        projector = self._show.projector
        sent = await outbox.relay(self._show.database, self._deliver, LIMIT, clock_ms=self._clock_ms)
        await projector.publish_moved()
        return sent

    async def _deliver(self, event: OutboxEvent) -> None:
        """To the merchants' systems, as rows, and to the room. Either may be done twice without harm."""
        async with self._show.database.read() as c:
            is_wanted = await deliveries.is_wanted(c, event.type, event.payload)
        if is_wanted:
            async with self._show.database.begin() as c:
                event_id = f"evt_{event.outbox_id}_{event.created_at_ms}"
                await deliveries.enqueue(c, event_id, event.type, event.payload, self._clock_ms())
        await self._show.projector.deliver(event)

    async def send_merchant_webhooks(self) -> int:
        """Send what merchants' systems are to hear."""
        return await self._merchants.send_due(LIMIT)

    async def sweep(self) -> int:
        """Free soft holds past their grace, serve wait lists, draw lots, and tell the buyers."""
        show = self._show
        swept = await reconciliation.sweep(show.database, show.hot_ledger)
        key = show.settings.key("hold token")
        for one in swept:
            await show.projector.publish_numbers(one.room_id, one.numbers)
            for notice in one.notices:
                await show.projector.tell_notice(one.room_id, one.sale_id, notice, key, self._clock_ms())
            await reconciliation.told(show.hot_ledger, one)
            await self._places.tell(one.room_id, one.sale_id, one.numbers.waiting)
        return sum(len(one.notices) for one in swept)

    async def tell_reminders(self) -> int:
        """Tell viewers that what they wait for goes on sale."""
        show = self._show
        async with show.database.read() as c:
            waiting = await reminders.rooms_to_tell(c)
        if not waiting:
            return 0

        async def tell(room: rooms.Room) -> int:
            return await reminders.tell(show.database, show.broker, room.room_id, LIMIT, self._clock_ms())

        return await self._each_room(tell, waiting)

    async def tell_followers(self) -> int:
        """Tell followers that their room is live; and tell Redis who they are where it does not know them (any more)."""
        show = self._show
        async with show.database.read() as c:
            waiting = await followers.rooms_to_tell(c)

        async def tell(room: rooms.Room) -> int:
            if not await show.broker.knows_followers(room.room_id):
                pages = followers.pages(show.database, room.room_id)
                await show.broker.tell_followers(room.room_id, pages)
            if room.room_id not in waiting:
                return 0
            return await followers.tell(show.database, show.broker, room, LIMIT, self._clock_ms())

        return await self._each_room(tell)

    async def persist_logs(self) -> int:
        """Move the allocation log's new lines from Redis into SQL."""
        return await reconciliation.persist_logs(self._show.database, self._show.hot_ledger)

    async def deliver_webhooks(self) -> int:
        """Play the sandbox provider's webhook sender, over real HTTP against our own web process."""
        url = f"{self._show.settings.local_web_url}/api/webhooks/sandbox"

        async def post(headers: dict[str, str], body: bytes) -> int:
            try:
                answer = await self._client.post(url, content=body, headers=headers)
            except httpx.HTTPError as error:
                raise OSError(str(error)) from error
            return answer.status_code

        return await self._show.sandbox.deliver_due(post)

    async def reconcile(self) -> int:
        """Bring the hot ledger to what SQL says; a sale that Redis has forgotten begins its next epoch."""
        found = await reconciliation.reconcile(self._show.database, self._show.hot_ledger, self._clock_ms)
        for one in found:
            if one.rebuilt:
                self._numbers.rebuilds.inc()
            await self._show.projector.publish_numbers(one.room_id, one.numbers)
        return len(found)

    async def publish_values(self) -> int:
        """Publish every current value of every room again: nothing is sent when nothing changed, an emptied Redis is filled."""

        async def publish(room: rooms.Room) -> int:
            await self._show.broker.set_chat_rules(room.room_id, room.chat_rules, room.version)
            await self._show.broker.publish(room.room_id, values=room.values())
            await self._show.projector.publish_room(room.room_id)
            await self._show.requests.allow(room.room_id, items[room.room_id])
            if room.pinned_product_id is not None:
                await self._show.requests.clear(room.room_id, [room.pinned_product_id])
            await self._show.requests.tell(room.room_id)
            return 1

        async with self._show.database.read() as c:
            items = await rooms.all_product_ids(c)

        return await self._each_room(publish)

    async def _each_room(
        self, work: Callable[[rooms.Room], Awaitable[int]], only: Collection[str] | None = None
    ) -> int:
        """The sum of `work(room)` over all rooms, or those whose ids are given.

        A Redis node that is away keeps no other node's rooms waiting; at the end its error is raised.
        """
        async with self._show.database.read() as c:
            found = await rooms.list_all(c)
        done, away, failure = 0, set[str](), None
        for room in found:
            node = self._show.broker.node_of(room.room_id)
            if node in away or (only is not None and room.room_id not in only):
                continue
            try:
                done += await work(room)
            except (BrokerUnavailable, RedisError, OSError) as error:
                away.add(node)
                failure = error
        if failure is not None:
            raise failure
        return done

    async def check_invariants(self) -> int:
        """Count violations per invariant; each newly broken one is an alarm in the log, a lasting one is told once."""
        async with self._show.database.read() as c:
            violations = await invariants.check(c, self._clock_ms())
        counts = Counter(violation.name for violation in violations)
        for invariant in invariants.INVARIANTS:
            self._numbers.violations.labels(invariant.name).set(counts[invariant.name])
        for violation in violations[:MAX_LOGGED_VIOLATIONS]:
            if violation.name not in self._alarmed:
                log.error(
                    "ALARM: %s does not hold: %s",
                    violation.name,
                    violation.meaning,
                    extra={"row": violation.row},
                )
        self._alarmed = frozenset(counts)
        return len(violations)

    async def tidy(self) -> int:
        """Forget what has had its time: sent events, old idempotency keys, finished sales in Redis and in the rooms' values."""
        now_ms = self._clock_ms()
        async with self._show.database.begin() as c:
            done = await outbox.forget_sent(c, now_ms) + await idempotency.forget_old(c, now_ms)
            done += await deliveries.forget_old(c, now_ms)
            done += await samples.forget_old(c, now_ms)
            done += await approvals.forget_old(c, now_ms)
            done += await reminders.forget_old(c, now_ms)
            gone = await followers.forget_old(c, now_ms, LIMIT)
        for room_id, viewer_ids in gone.items():
            await self._show.broker.unfollow(room_id, viewer_ids)
            done += len(viewer_ids)
        done += await reconciliation.drop_finished(self._show.database, self._show.hot_ledger, now_ms)
        return done + await self._each_room(lambda room: self._show.projector.forget_old_sales(room.room_id))

    async def forget_replay_edits(self) -> int:
        """What was made of recordings goes with them. Told only once it is gone: a worker that dies here leaves it to the next."""
        redis, days = self._show.redis, self._show.settings.recording_days
        told = await deleted_recordings.waiting(redis, LIMIT)
        async with self._show.database.begin() as c:
            await replay_edits.forget(c, [(one.room_id, one.started_at_ms) for one in told])
            await replay_edits.forget_old(c, days, self._clock_ms())
        await deleted_recordings.heard(redis, told)
        return len(told)


def _counted(work: Callable[[int], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    return lambda: work(LIMIT)
