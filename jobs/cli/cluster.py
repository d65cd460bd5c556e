"""Commands about a cluster: a stage of a run as a job of it, and what becomes of such jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from jobs.cli.options import AsJson, RecipeName, unfold_options

app = typer.Typer()

Address = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="ONESKETCH_ADDRESS",
        metavar="URL",
        help="Of the cluster's dashboard: http://HOST:8265.",
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="As `submit` and `jobs` show it.")]


@dataclass(frozen=True)
class RequestOptions:
    """What is asked for; the fields are those of `Asked`, which explains them."""

    run: Annotated[
        str,
        typer.Option("--run", help="s3://bucket/prefix for the artefacts.  [default: recipe's]"),
    ] = ""
    workers: Annotated[
        str, typer.Option("--workers", help="N or MIN..MAX.  [default: by the cluster]")
    ] = ""
    gpus_per_worker: Annotated[
        float, typer.Option("--gpus-per-worker", min=0, help="0 leaves it to the cluster.")
    ] = 0.0
    grace_s: Annotated[
        float | None, typer.Option("--grace", min=0, help="Seconds that shards may take to end.")
    ] = None
    device: Annotated[str, typer.Option("--device", help="Of the nodes: cpu, cuda.")] = ""
    dtype: Annotated[
        str, typer.Option("--dtype", help="Backbone's numbers, as stages have it.")
    ] = ""
    cache: Annotated[
        str, typer.Option("--cache", metavar="FOLDER", help="Of each node, for what is fetched.")
    ] = ""
    cache_gib: Annotated[
        float | None, typer.Option("--cache-gib", min=0, help="Most that it may take there.")
    ] = None
    variables: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME=VALUE", help="For the job; never a secret."),
    ] = None
    shared_folder: Annotated[
        bool, typer.Option("--shared-folder", help="Vouch that all nodes see the run's folder.")
    ] = False
    single_writer: Annotated[
        bool, typer.Option("--single-writer", help="Vouch that no other run writes there.")
    ] = False


@dataclass(frozen=True)
class ConditionOptions:
    """How it is submitted; the fields are those of `Conditions`, which explains them."""

    address: Address = ""
    retries: Annotated[
        int, typer.Option("--retries", min=0, help="In a row, without a shard in between.")
    ] = 3
    price: Annotated[float, typer.Option("--price", min=0, help="Money per worker and hour.")] = 0.0
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, show the request, send nothing.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow the job.")] = False
    again: Annotated[
        bool, typer.Option("--again", help="Also if the same submission has succeeded.")
    ] = False
    in_cluster: Annotated[
        bool, typer.Option("--in-cluster", help="As KubeRay's submitter pod.")
    ] = False


@dataclass(frozen=True)
class ManifestOptions:
    """The cluster of a manifest; the fields are those of `ClusterWish`, which explains them."""

    image: Annotated[
        str, typer.Option("--image", metavar="IMAGE", help="NAME@sha256:DIGEST of all pods.")
    ]
    name: Annotated[
        str, typer.Option("--name", help="Of the job.  [default: onesketch-COMMAND-STYLE]")
    ] = ""
    namespace: Annotated[str, typer.Option("--namespace", help="Of all.")] = "onesketch"
    spot: Annotated[bool, typer.Option("--spot", help="Use nodes that may be taken away.")] = False
    spot_label: Annotated[
        str, typer.Option("--spot-label", metavar="KEY=VALUE", help="What such nodes have.")
    ] = "karpenter.sh/capacity-type=spot"
    on_demand: Annotated[
        int, typer.Option("--on-demand", min=0, help="Workers that may do without spot.")
    ] = 2
    queue: Annotated[str, typer.Option("--queue", help="Kueue's, which admits the job.")] = ""
    retries: Annotated[
        int | None, typer.Option("--retries", min=0, help="New clusters after a failure.")
    ] = None
    deadline_h: Annotated[
        float | None, typer.Option("--deadline", min=0.1, help="Hours until it is given up.")
    ] = None
    cpus: Annotated[str, typer.Option("--cpus", help="Of a worker, such as 8.")] = ""
    memory: Annotated[str, typer.Option("--memory", help="Of a worker, such as 32Gi.")] = ""


@app.command()
@unfold_options
def submit(
    command: Annotated[
        str,
        typer.Argument(
            metavar="COMMAND", help="source, teach, generate, distill, evaluate, report or all."
        ),
    ],
    recipe: RecipeName,
    request: RequestOptions,
    conditions: ConditionOptions,
) -> None:
    """Run a stage as a job of a Ray cluster.

    Ctrl-C detaches, and the job goes on. The same submission twice is one job. Exit code: the
    job's own; 143: stopped; 75: contact lost; 130: detached; 2: a mistake, and nothing was sent.
    """
    from jobs.submission.request import Asked
    from jobs.submission.submit import Conditions, run_submit

    asked = Asked(command, recipe, **{**vars(request), "variables": request.variables or ()})
    raise typer.Exit(run_submit(asked, Conditions(**vars(conditions))))


@app.command()
@unfold_options
def manifest(
    target: Annotated[
        Literal["kuberay"], typer.Argument(metavar="TARGET", help="For what: kuberay.")
    ],
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="As `submit` has it.")],
    recipe: RecipeName,
    request: RequestOptions,
    cluster: ManifestOptions,
) -> None:
    """Print a submission as a RayJob for Kubernetes.

    Nothing is sent: pipe it to `kubectl create -f -`. What the job needs in its namespace is in
    infra/kuberay/shared (docs/cluster.md).
    """
    from jobs.manifests.kuberay import ClusterWish, run_manifest
    from jobs.submission.request import Asked

    asked = Asked(command, recipe, **{**vars(request), "variables": request.variables or ()})
    run_manifest(asked, ClusterWish(**vars(cluster)))


@app.command()
def attach(job: JobId, address: Address = "") -> None:
    """Follow a job that was submitted.

    Ctrl-C detaches again. Exit code: as `submit`.
    """
    from jobs.submission.manage import run_attach

    raise typer.Exit(run_attach(job, address))


@app.command()
def stop(job: JobId, address: Address = "") -> None:
    """Ask a job to end, and watch it drain.

    What is committed stays: the same submission goes on from there.
    """
    from jobs.submission.manage import run_stop

    raise typer.Exit(run_stop(job, address))


@app.command()
def jobs(address: Address = "", as_json: AsJson = False) -> None:
    """List the jobs that were submitted, and their shards."""
    from jobs.submission.manage import run_jobs

    run_jobs(address, as_json)
