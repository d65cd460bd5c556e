"""The tools that measure the house, on small houses with a known plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import house
from tests.tools.duplicates import find_duplicates
from tests.tools.handwriting import HABITS, each_loops, unused_outside
from tests.tools.imports import arrows_up, circles, floors, module_graph, room_graph
from tests.tools.measures import measure
from tests.tools.source import Module, read_modules

SOURCES = {
    "pipeline/seeds.py": "SEED = 1\n",
    "pipeline/dataset/plan.py": "from pipeline import seeds\n",
    "pipeline/dataset/tar.py": "def load():\n    import pipeline.dataset.plan\n",
    "training/loop.py": "from pipeline.dataset.plan import Plan\nfrom training import spec\n",
    "training/spec.py": "import torch\n",
    "jobs/cli.py": "from training.loop import train\n",
}
ALIKE = "\n".join(f"value_{n} = {n}" for n in range(7))


def modules(sources: dict[str, str] = SOURCES) -> list[Module]:
    return [Module(path, text) for path, text in sources.items()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in SOURCES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    (tmp_path / "pipeline/__init__.py").write_text("", encoding="utf-8")
    return tmp_path


def test_modules_are_read_with_their_rooms(root: Path) -> None:
    found = {module.name: module.room for module in read_modules(root)}
    assert found["pipeline.dataset.plan"] == "pipeline.dataset"
    assert found["pipeline.seeds"] == "pipeline.seeds"
    assert len(found) == len(SOURCES)


def test_arrows_between_modules_and_rooms() -> None:
    graph = module_graph(modules())
    assert graph["pipeline.dataset.plan"] == {"pipeline.seeds"}
    assert graph["pipeline.dataset.tar"] == {"pipeline.dataset.plan"}
    assert graph["training.loop"] == {"pipeline.dataset.plan", "training.spec"}
    assert room_graph(modules())["pipeline.dataset"] == {"pipeline.seeds"}
    assert (circles(graph), arrows_up(graph)) == ([], [])
    assert [sorted(level) for level in floors(graph)][0] == ["pipeline.seeds", "training.spec"]
    assert len(floors(graph)) == 4


def test_circles_and_arrows_up_are_found() -> None:
    wrong = SOURCES | {"pipeline/seeds.py": "import training.spec\nimport pipeline.dataset.tar\n"}
    graph = module_graph(modules(wrong))
    assert circles(graph) == [["pipeline.dataset.plan", "pipeline.dataset.tar", "pipeline.seeds"]]
    assert arrows_up(graph) == [("pipeline.seeds", "training.spec")]
    with pytest.raises(ValueError, match="circles"):
        floors(graph)


def test_lines_in_two_places_are_found_once() -> None:
    indented = "\n\n".join(f"    {line}  # here" for line in ALIKE.splitlines())
    texts = {
        "a.py": f"import os\n\n{ALIKE}\n",
        "b.py": f"def f():\n{indented}\n",
        "c.py": "x = 1\n",
    }
    assert find_duplicates(modules(texts)) == []  # a comment behind makes another line
    texts["b.py"] = texts["b.py"].replace("  # here", "")
    (found,) = find_duplicates(modules(texts))
    assert (found.path, found.line, found.other_path, found.other_line) == ("a.py", 3, "b.py", 2)
    assert found.num_lines == 7
    assert find_duplicates(modules(texts), fewest=8) == []


def test_habits_are_counted() -> None:
    text = (
        "from torch.nn import functional\n\ndef _first(): ...\n"
        "def draw(a: np.ndarray):\n    return [each for each in a]\n"
    )
    counts = [len(habit(Module("jobs/a.py", text))) for habit in HABITS.values()]
    assert counts == [1] * len(HABITS)
    assert each_loops(Module("jobs/a.py", "for number, each in things: pass")) == [1]


@pytest.mark.parametrize(
    "use",
    [
        "from jobs.a import run",
        "from jobs import a\na.run()",
        "import jobs.a as front\nfront.run()",
        "",
    ],
)
def test_uses_outside_are_found(use: str) -> None:
    text = "def run(): ...\ndef _own(): ...\n@app.command()\ndef command(): run()\n"
    front, other = Module("jobs/a.py", text), Module("jobs/b.py", use)
    assert unused_outside([front], [front, other]) == ([] if use else ["jobs/a.py: run"])


def test_the_report_sets_two_houses_side_by_side(root: Path) -> None:
    old = measure(root)
    (root / "pipeline/dataset/index.py").write_text("lesson = 1\n", encoding="utf-8")
    lines = list(house.report([old, measure(root)], ["old", "new"]))
    rows = {" ".join(line.split()) for line in lines}
    assert "modules 3 4" in rows
    assert "words of the old dialect 0 1" in rows
    assert "pipeline/dataset 2 3 | pipeline/dataset 3 4" in rows
    assert "lesson: pipeline/dataset/index.py:1" in rows


def test_an_unknown_revision_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert house.main(["--base", "no-such-revision"]) == 2
    assert "no-such-revision" in capsys.readouterr().err
