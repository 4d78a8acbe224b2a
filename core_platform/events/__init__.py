"""A tenant's streams of numbered events."""

from core_platform.events.streams import StoredEvent, append_event, events_after, heads

__all__ = ["StoredEvent", "append_event", "events_after", "heads"]
