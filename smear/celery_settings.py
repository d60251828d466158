"""Celery's settings as a plain dict, each with its reason. The database is the truth; a message is only a hint."""

from typing import Any

from smear.broker_tls import tls_options
from smear.junk import PREFIX
from smear.settings import Settings


def celery_settings(settings: Settings) -> dict[str, Any]:
    """What each room's Celery app is configured with."""
    url, tls = tls_options(settings.broker, settings.broker_ca)
    return {
        "broker_url": url,
        # Without it kombu checks no certificate.
        "broker_use_ssl": tls,
        # JSON alone: a forged pickle would run code. No results: they are rows in the database.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "task_ignore_result": True,
        # A message is dropped only after its slide is done; the attempt cap in the database stops a poisonous one.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # A worker takes one slide at a time: hoarded messages would hide the backlog and wait behind a long slide.
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "broker_transport_options": {
            # Other users of the same server are not touched.
            "global_keyprefix": PREFIX,
            # The lease in the database decides long before; this second line only clears what a dead worker held.
            "visibility_timeout": 1200,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # A broker that went away is noticed, and nobody waits for it longer than a lease.
            "health_check_interval": 10,
            "socket_timeout": 30,
            "socket_connect_timeout": 3,
        },
        # A worker started before its broker, or left by it, tries again for ever.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_retry": True,
        # So does one whose broker refuses while it connects: a replica that takes no writes, a key of another type.
        "broker_channel_error_retry": True,
        # On a lost connection the slide in hand is finished: its result is written under its token. On SIGTERM the
        # pool `solo` finishes it too; other pools are asked to by REMAP_SIGTERM=SIGQUIT, and get this long.
        "worker_soft_shutdown_timeout": 20,
        # An idle worker has nothing to hand back, so it need not wait those 20 s.
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Nothing here needs remote control or gossip; both cost connections and a process's attention.
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "task_default_queue": "slides",
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
        "enable_utc": True,
    }
