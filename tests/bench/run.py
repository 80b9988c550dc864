"""`make bench`: every measurement of this folder, each in a process of its own, as JSON and as tables.

`python tests/bench/run.py [NAME ...] [--tiny]`; `--tiny` only shows that all of them run. The JSON goes to
`<RUNS_ROOT>/bench/<date>.json` after each measurement, so that a run that is cut short has measured something.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tables

ROOT = Path(__file__).resolve().parents[2]
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Whatever a shell says of these: how each way uses its threads is what is measured."""
LIBRARIES = "av dask h5py numpy opencv-python-headless torch transformers ultralytics".split()
SMALL = "--clips=2 --rounds=1 --encoders=mfcc,emoaffectnet+boxes=yolo_face,minilm"
BENCHES = {
    "meld": ("contest.py --corpus=meld", SMALL),
    "meld-3-faces": ("contest.py --corpus=meld --faces=3", SMALL),
    "meld-patient": ("contest.py --corpus=meld --patient=1", SMALL),
    "grid": ("contest.py --corpus=grid", SMALL),
    "grid-3-faces": ("contest.py --corpus=grid --faces=3", SMALL),
    "growth": ("growth.py", "--sizes=2,4,8 --rounds=1"),
    "workers": ("workers.py", "--encoder=mfcc --parts=8 --clips=1 --rounds=1"),
    "plan": ("plan.py", "100"),
    "doctor": ("doctor.py", "--clips=40 --copies=4 --films=2 --rounds=1"),
    "manifests": ("corpora.py", "--rounds=1"),
    "store": ("store.py", ""),
    "share": ("share.py", "--parts=2 --rounds=1"),
    "page": ("page.py", "--clips=300 --rounds=1"),
    "fusion": ("fusion.py", "--clips=160 --trained=64 --plain=4 --rounds=1"),
}
"""Name to what is run, and what is added to that for a trial."""


def main() -> int:
    """Run what was asked for; say whether all of it went well."""
    options = _options()
    inherited = {name: value for name, value in os.environ.items() if name not in THREADS}
    environment = {**inherited, **QUIET, "PYTHONPATH": str(ROOT)}
    now, benches = datetime.now().astimezone(), {}
    found = {"date": now.isoformat("T", "seconds"), "tiny": options.tiny, "machine": machine(), "benches": benches}
    target = Path(os.environ.get("RUNS_ROOT") or ROOT / ".runs") / "bench" / f"{now:%Y-%m-%dT%H%M%S}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    for name in options.names or BENCHES:
        benches[name] = measured(name, environment, tiny=options.tiny)
        target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(tables.of(name, benches[name]) + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{target}\n")
    return int(any("failed" in result for result in benches.values()))


def measured(name: str, environment: dict[str, str], *, tiny: bool) -> dict[str, object]:
    """Run one script; what it prints last is its result. How busy the machine was before says what that is worth."""
    full, trial = BENCHES[name]
    script, *words = (f"{full} {trial}" if tiny else full).split()
    began_s, busy = time.perf_counter(), os.getloadavg()[0]
    command = [sys.executable, str(ROOT / "tests" / "bench" / script), *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {"failed": f"exit code {done.returncode}"}
    took_s = round(time.perf_counter() - began_s, 1)
    return {**json.loads(done.stdout.splitlines()[-1]), "took_s": took_s, "processes_before": round(busy, 1)}


def machine() -> dict[str, object]:
    """Say what was measured on, in general terms."""
    sys.path.insert(0, str(ROOT))
    import torch

    from extract.network import dtype_of

    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "bf16": dtype_of("cpu", "fast") == torch.bfloat16,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "python": platform.python_version(),
        **{name: found for name in LIBRARIES if (found := _version(name))},
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure, and write JSON and tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHES)} [all]")
    parser.add_argument("--tiny", action="store_true", help="as little as possible, to see that everything runs")
    options = parser.parse_args()
    if wrong := [name for name in options.names if name not in BENCHES]:
        parser.error(f"expected names from {', '.join(BENCHES)}; got {', '.join(wrong)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
