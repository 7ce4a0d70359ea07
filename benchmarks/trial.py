"""Time a whole trial of thirty patients, every lesion a block: the target is half an hour on two cores.

python benchmarks/trial.py FOLDER [--workers N]     # a new folder; goes on in an old one, without a time
"""

import argparse
import time
from pathlib import Path

import simulator
from simulator.experiment.trial.execute import execute

TARGET_MIN = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    is_new = not given.folder.exists()
    file = Path(__file__).resolve().parent.parent / "configs/experiments/nct06446050.yaml"
    start = time.perf_counter()
    done = execute(simulator.load(file), given.folder, workers=given.workers)
    minutes = (time.perf_counter() - start) / 60.0
    assert done is not None
    lesions = sum(len(one.patient.lesions) for one in done.trial.treated)
    runs = len(list((given.folder / "runs").glob("*.h5")))
    told = f"{minutes:.1f} min, target {TARGET_MIN:g}" if is_new else "not timed: runs of before were kept"
    print(f"{len(done.trial.slots)} patients, {lesions} lesions, {runs} runs: {told}")


if __name__ == "__main__":
    main()
