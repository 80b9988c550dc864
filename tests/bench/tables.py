"""Results as tables that a person reads, and that can be put into a document as they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

FACES = {"plain_by_ours": "≥ 3", "ours_by_floor": "≤ 1.25"}
TARGETS = {
    "meld": FACES | {"real_time_factor": "≤ 0.6"},
    "meld-3-faces": FACES,
    "meld-patient": FACES,
    "grid": FACES | {"real_time_factor": "≤ 0.52"},
    "grid-3-faces": FACES,
    "growth": {"slope_by_slope": "≤ 1.1", "peak_by_peak": "≤ 1.1"},
    "workers": {"dask_by_here": "≤ 1.05", "one_by_two": "≥ 1.7"},
    "plan": {"seconds": "≤ 5"},
    "doctor": {"seconds": "≤ 120"},
    "manifests": {"seconds": "≤ 2"},
    "share": {"pull_by_floor": "≥ 0.8", "again_s": "≤ 3"},
    "page": {"slowest_view_s": "≤ 1"},
    "fusion": {
        "epoch_by_floor": "≤ 1.1",
        "epoch_by_floor_float32": "≤ 1.1",
        "open_to_first_step_s": "≤ 10",
        "loader_memory_over_cache_gb": "≤ 1",
        "peak_memory_over_cache_gb": "≤ 1",
        "stream_by_disk": "≥ 0.7",
        "ours_by_plain": "≥ 2",
        "ours_by_patient": "≥ 2",
    },
}


def of(name: str, result: Mapping[str, Any]) -> str:
    """Return the tables of one result: single figures beside their targets, then whatever has rows and columns."""
    targets = TARGETS.get(name, {})
    figures = [(key, _said(found), targets.get(key, "")) for key, found in result.items() if _is_single(found)]
    grids = {key: found for key, found in result.items() if _holds(found, lambda inner: isinstance(inner, Mapping))}
    columns = {key: found for key, found in result.items() if _holds(found, _is_single)}
    tables = [_grid(key, found) for key, found in [*grids.items(), *([(name, columns)] if columns else [])]]
    return "\n\n".join([f"## {name}", _table(("figure", "reached", "target"), figures), *tables]) + "\n"


def _is_single(value: Any) -> bool:
    return not isinstance(value, Mapping | list)


def _holds(value: Any, kind: Callable[[Any], bool]) -> bool:
    return isinstance(value, Mapping) and all(map(kind, value.values()))


def _grid(name: str, columns: Mapping[str, Mapping[str, Any]]) -> str:
    rows = dict.fromkeys(row for column in columns.values() for row in column)
    cells = {row: [_said(column.get(row, "")) for column in columns.values()] for row in rows}
    return _table((name, *columns), [(row, *said) for row, said in cells.items()])


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
