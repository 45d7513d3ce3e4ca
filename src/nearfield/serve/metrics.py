"""What the server counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nearfield.serve.call import Call
from nearfield.serve.models import Models

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Requests by dialect, path and status with their seconds; texts, tokens and truncated texts by
    model; what waits, and which models are open.
    """

    def __init__(self, models: Models) -> None:
        # prometheus_client's own is one per process, and refuses the names of a second server
        self._registry = registry = CollectorRegistry()
        labels = ("dialect", "path", "status")
        self._requests = Counter(
            "nearfield_requests", "Requests answered.", labels, registry=registry
        )
        self._seconds = Histogram(
            "nearfield_request_seconds",
            "Seconds to an answer.",
            ("dialect",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._used = {}  # by the field of a call
        for what, words in (
            ("items", "Texts and pairs read."),
            ("tokens", "Tokens read."),
            ("truncated", "Texts that were longer than the model reads."),
        ):
            counter = Counter(f"nearfield_{what}", words, ("model",), registry=registry)
            self._used[what] = counter
        registry.register(_State(models))

    def note(self, place: tuple[str, str], status: int, seconds: float, call: Call) -> None:
        """Count a request that was answered; `place` is its dialect and its path."""
        # labels are paths of routes and names of served models, not what a client sent: each value
        # of a label is a time series that stays
        self._requests.labels(*place, str(status)).inc()
        self._seconds.labels(place[0]).observe(seconds)
        if call.model:
            for what, counter in self._used.items():
                counter.labels(call.model).inc(getattr(call, what))

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """What is so at the moment when it is asked for."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, words in (
            ("waiting", "Estimated tokens that wait for a model."),
            ("open", "Whether a model's weights are in memory."),
        ):
            family = GaugeMetricFamily(f"nearfield_{name}", words, labels=["model"])
            for model in self._models.by_name.values():
                family.add_metric([model.name], float(getattr(model, name)))
            yield family
