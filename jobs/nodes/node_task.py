"""Work of a stage that needs the models: in this process, or on a node of the cluster.

A driver in a cluster may have neither GPU nor models. What goes to the node is the recipe and where
the run is; its artefacts come and go through the run's place, its events through a relay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import ray
import torch
from rich.console import Console

from jobs.nodes.cluster import Share, in_cluster, share_cluster
from jobs.nodes.models import check_seen
from jobs.nodes.ray_session import ray_runtime
from jobs.runtime.devices import Asked
from jobs.runtime.events import Events
from jobs.runtime.run_folder import RunFolder
from jobs.runtime.run_place import FolderPlace, open_place
from jobs.runtime.session import Session
from pipeline.generation.ray_actors import naming_this_node
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.workers import WorkerRange
from pipeline.storage.node_cache import NodeCache
from training.ray_events import EventSender, relayed

# Of lost nodes: the work goes on from its last checkpoint on another. Its own errors end it.
_MAX_RETRIES = 3
# How long the work may take to save when it is stopped.
_STOPPING_S = 60.0

Result = TypeVar("Result")


def run_where_models_are(
    work: Callable[[Session, Share | None], Result], session: Session
) -> Result:
    """Do the work here, or in a cluster on one of its nodes, and return what it returns.

    Args:
        work: is given the session and, on a node, the share of the cluster that it is one worker
            of. It is pickled there and back.

    Raises:
        ValueError: a mistake that the work met, or the cluster lacks what was asked for.
    """
    if not in_cluster():
        return work(session, None)
    with ray_runtime(session.asked), relayed(session.events) as relay:
        share = share_cluster(session.asked, WorkerRange())
        task: Any = ray.remote(_work_on_node).options(
            num_cpus=1, num_gpus=1 if share.gpus else 0, max_retries=_MAX_RETRIES
        )
        done = task.remote(work, _Sent.of(session, share), relay)
        try:
            found: Result = ray.get(done)
            return found
        except ray.exceptions.RayError as error:
            if isinstance(cause := getattr(error, "cause", None), ValueError):
                raise cause from error
            raise
        except BaseException:
            # A task under way alone: Ray may crash where a finished one is cancelled. It saves.
            ray.cancel(done)
            ray.wait([done], timeout=_STOPPING_S)
            raise


@dataclass(frozen=True)
class _Sent:
    """A session's facts on their way to a node; `folder` is the run's, where it has no address."""

    recipe: Recipe
    folder: Path | None
    asked: Asked
    cache: NodeCache
    share: Share

    @classmethod
    def of(cls, session: Session, share: Share) -> _Sent:
        folder = None
        if session.place.store is None:
            folder = session.folder.root.absolute()
            folder.mkdir(parents=True, exist_ok=True)
        asked = replace(session.asked, device=share.device)
        return cls(session.recipe, folder, asked, session.cache, share)

    @contextmanager
    def open(self, events: Events) -> Iterator[Session]:
        """Open the session anew on this node."""
        if self.folder is None:
            with open_place(self.recipe, self.cache) as place:
                yield Session(self.recipe, self.asked, place, events, self.cache)
        else:
            check_seen(str(self.folder))
            place = FolderPlace(RunFolder(self.folder))
            yield Session(self.recipe, self.asked, place, events, self.cache)


def _work_on_node(
    work: Callable[[Session, Share | None], Result], sent: _Sent, relay: Any
) -> Result:
    torch.set_num_threads(int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))
    events = _RelayedEvents(relay)
    with naming_this_node(), sent.open(events) as session:
        found = work(session, sent.share)
    events.sender.flush()
    return found


class _RelayedEvents(Events):
    """Events that are shown and kept where the driver is."""

    def __init__(self, relay: Any) -> None:
        super().__init__(Console(quiet=True))
        self.sender = EventSender(relay)

    def __call__(self, name: str, **fields: Any) -> None:
        """Send one event."""
        self.sender(name, **fields)
