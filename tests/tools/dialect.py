"""Words of the old dialect: what to write instead, and where they still stand for good reason.

The one list. `python -m tests.tools.house` counts what is left of them, a contract test wants none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Word:
    """One word that the code no longer uses.

    Args:
        name: as a report shows it.
        pattern: regular expression, case-sensitive, found within a line.
        plain: what to write instead.
        allowed: beginnings of paths where it stays, each with the reason.
        within: beginning of the paths where it counts; all by default.
    """

    name: str
    pattern: str
    plain: str
    allowed: Mapping[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ("",)

    def concerns(self, path: str) -> bool:
        """Whether the word may not stand in a file."""
        return path.startswith(self.within) and not path.startswith(tuple(self.allowed))


def part(word: str) -> str:
    """Match a lower-case word, alone or as a part of an identifier in any of its spellings."""
    first, rest = word[0], word[1:]
    capital = first.upper() + rest
    return (
        rf"(?<![A-Za-z]){word}s?(?![A-Za-z])"
        rf"|(?<![A-Z]){capital}s?(?![a-z])"
        rf"|(?<![A-Za-z]){word.upper()}S?(?![A-Za-z])"
    )


_PROMPTS = {"jobs/stages/general_prompts.py": "an ordinary word of a prompt"}
WORDS = (
    # The school of the training loops.
    Word("lesson", part("lesson"), "spec, training"),
    Word("course", rf"(?<!its )(?<!of )(?:{part('course')})", "spec, training"),
    Word("classroom", part("classroom"), "Context", _PROMPTS),
    Word("schoolroom", part("schoolroom"), "Context"),
    Word("enrol", r"(?<![A-Za-z])[Ee]nrol(?:s|led)?(?![a-z])", "initial_state"),
    Word("rehearsal", part("rehearsal"), "GeneratedSamples, samples"),
    Word("timetable", part("timetable"), "Schedule"),
    # Trades.
    Word("workshop", part("workshop"), "Workspace, EmbeddedTrainer", _PROMPTS),
    Word("Tools", r"\bTools\(|\bclass Tools\b|: Tools\b|\bload_tools\b", "Models"),
    Word("_Bench", r"\b_Bench\b", "_BatchWorker"),
    Word("Judges", r"\bJudges?\b|_judges\b|\bjudges[.:=)]", "ScoringNetworks, scores"),
    Word("Examination", part("examination"), "NormalityTests"),
    Word("Metered", r"\bMetered\b", "MetricsExporter"),
    # The driver and its workers.
    Word("News", r"(?<![a-z])[Nn]ews(?![a-z])", "Event, events"),
    Word("Unfit", r"Unfit(?![a-z])", "LoadFailed"),
    Word(
        "Beat",
        r"\b_?[Bb]eats?\b|\bbeat_s\b|Beat(?![a-z])",
        "Heartbeat",
        within=("pipeline/", "jobs/benchmarks/", "tests/pipeline/"),
    ),
    Word("ask", r"\bdef ask\b|fleet\.ask\(|\b_asked_s\b", "ping"),
    Word("_hear", r"\b_hear(_\w+)?\b", "_handle"),
    Word("_tell", r"\b_tell(_\w+)?\b", "_report"),
    Word("_as_persons", r"\b_as_persons\b", "_as_user_error"),
    Word("Conduct", part("conduct"), "WorkerBehaviour"),
    Word(
        "virtual",
        part("virtual"),
        "simulated",
        {
            "jobs/benchmarks/scaling/fleets.py": "a key of docs/benchmarks.json",
            "docs/benchmarks.md": "written from docs/benchmarks.json",
        },
    ),
    # The method and its files.
    Word(
        "redraw", r"(?<![A-Za-z])_?[Rr]edr(?:aw|ew)\w*|Redraw\w*", "TeacherExtractor, by inversion"
    ),
    Word(
        "halves",
        part("halves"),
        "branches",
        {
            "pipeline/generation/scheduling.py": "a failed shard is cut in halves",
            "pipeline/gsketch/network.py": "a key of G_sketch's config.json",
            "pipeline/diffusion/taps.py": "the verb: a convolution halves the size",
            "tests/training/students/test_pix2pixhd.py": "a network that halves five times",
        },
    ),
    Word("Sampler", r"\bSampler\b", "Sampling"),
    Word(
        "known",
        r"\bknown_(?:pair|image|sketch|picture|tensors)\b|\b(?:remake|draw)_known\b"
        r"|\.known\b|\bknown: Tensor\b|\bcondition\(known,|^\s*\(known,\) = ",
        "example",
    ),
    Word(
        "facts",
        part("fact"),
        "metadata",
        {
            "pipeline/dataset/index.py": "the index's columns facts_*",
            "pipeline/publishing/card.py": "the index's columns facts_*",
            "pipeline/diffusion/cdst.py": "a metadata key of the prior's file",
        },
        within=("pipeline/", "training/", "tests/pipeline/", "tests/training/"),
    ),
    Word("Look", r"\bclass Looks?\b|\bLook\(|\b_look\(|[\[:] ?Look\b|\blooks =", "SampleDigest"),
    Word("mend", r"(?<![A-Za-z])mend(?:s|ed|ing)?(?![a-z])", "recover, repair", _PROMPTS),
    Word("reach", r"^def reach\(|(?<![.\w])(?<!def )reach\(|import .*\breach\b", "check_reachable"),
    Word("claim", r"\bdef claim\(|(?<![.\w])(?<!def )claim\(", "check_settings, keep_settings"),
    Word(
        "border",
        part("border"),
        "error handling; boundary",
        {
            "training/styles/": "of a picture",
            "training/embedded/": "of a picture",
            "tests/training/styles/": "of a picture",
            "pipeline/video/motion.py": "an argument's name in OpenCV",
            "docs/results.md": "of a picture",
            "jobs/pages/templates/": "CSS",
            "pipeline/templates/": "CSS",
        },
    ),
    # Old names that moved.
    Word("OtherLessonError", r"\bOther(?:Lesson|Course)Error\b", "OtherRunError"),
    Word("write_whole", r"\bwrite_whole\b", "write_bytes"),
    # English.
    Word("gone on with", r"\bgone on with\b", "resumed, continued"),
    Word("speaks of", r"\bsp(?:eaks?|oke|eaking) of\b", "describes, names"),
    Word("is no ... of", r"(?<!here )\bis no \w+ of\b|\bis no name\b", "is not a ..."),
    Word("can be had", r"\bbe had\b", "can be rebuilt, can be read"),
    Word("that lack", r"\bthat lack\b", "missing"),
    Word("somebody's", r"\bis somebody's\b|\bare somebody's\b", "is not a dataset's"),
    Word("is none of", r"\bis none of\b", "is not one of"),
)
