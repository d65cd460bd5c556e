"""`onesketch verify`: proof of a dataset, or a table of what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from jobs.pages.answers import print_json
from jobs.pages.tables import counted, print_table
from pipeline.dataset import layout
from pipeline.events import OnEvent
from pipeline.storage.address import open_store
from pipeline.upkeep.verify import Finding, Kind, Verdict, verify

EXIT_SOUND, _EXIT_INCOMPLETE, _EXIT_UNTRUSTED = 0, 1, 2
# What is there is not what it should be; other faults say that something is missing.
_UNTRUSTED = frozenset({Kind.CHANGED, Kind.BROKEN})
# Remarks of one kind beyond this are counted, not listed.
_MAX_REMARKS = 20


def run_verify(dataset: str, on_event: OnEvent, as_json: bool = False) -> int:
    """Check a dataset and print the result, for people or for programs; return the exit code."""
    store = open_store(dataset)
    verdict = verify(store, on_event)
    if as_json:
        print_json(_verdict_fields(verdict, store.url))
    else:
        print_verdict(verdict, store.url)
    return exit_code(verdict)


def _verdict_fields(verdict: Verdict, url: str) -> dict[str, Any]:
    findings = [
        {
            "file": finding.name,
            "sample": finding.sample,
            "kind": finding.kind.value,
            "detail": finding.detail,
            "fault": finding.is_fault,
        }
        for finding in verdict.findings
    ]
    return {
        "dataset": url,
        "sound": not verdict.faults,
        "exit_code": exit_code(verdict),
        "pairs": verdict.pairs,
        "shards": verdict.shards,
        "findings": findings,
    }


def print_verdict(verdict: Verdict, url: str) -> None:
    """Print the table of findings, and the verdict."""
    rows = [_finding_row(finding) for finding in _shown_findings(verdict.findings)]
    if rows:
        print_table([("", "file", "sample", "kind", "detail"), *rows])
        hidden = len(verdict.findings) - len(rows)
        print(f"... and {counted(hidden, 'more remark')}\n" if hidden else "")
    print(_summary_text(verdict, url))


def exit_code(verdict: Verdict) -> int:
    """Return 0: sound; 1: what is there is sound, but not all is there; 2: not to be trusted."""
    kinds = {fault.kind for fault in verdict.faults}
    if kinds & _UNTRUSTED:
        return _EXIT_UNTRUSTED
    return _EXIT_INCOMPLETE if kinds else EXIT_SOUND


def _shown_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Choose all faults, then the first remarks of each kind."""
    faults = [finding for finding in findings if finding.is_fault]
    seen: Counter[Kind] = Counter()
    remarks = []
    for finding in findings:
        seen[finding.kind] += 1
        if not finding.is_fault and seen[finding.kind] <= _MAX_REMARKS:
            remarks.append(finding)
    return faults + remarks


def _finding_row(finding: Finding) -> tuple[str, ...]:
    weight = "fault" if finding.is_fault else "remark"
    sample = "" if finding.sample is None else layout.sample_key(finding.sample)
    return (weight, finding.name, sample, finding.kind.value, finding.detail)


def _summary_text(verdict: Verdict, url: str) -> str:
    """Say the verdict in one line."""
    remarks = len(verdict.findings) - len(verdict.faults)
    noted = f"; {counted(remarks, 'remark')} for people to judge" if remarks else ""
    proven = f"{verdict.pairs:,} pairs in {verdict.shards:,} shards checked"
    if not verdict.faults:
        return f"{url} is sound: {proven}{noted}"
    words = {_EXIT_INCOMPLETE: "is incomplete", _EXIT_UNTRUSTED: "is not to be trusted"}
    faults = counted(len(verdict.faults), "fault")
    return (
        f"{url} {words[exit_code(verdict)]}: {faults}; {proven}{noted}. "
        "`onesketch repair RECIPE` regenerates what is faulty"
    )
