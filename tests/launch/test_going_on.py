"""Launchers start again what has saved and stopped, and nothing else."""

import shutil

import pytest

from tests.launch.launchers import ROOT, calls, imitate, launch


def checkout(folder):
    """A checkout whose virtual environment is there already."""
    folder.mkdir()
    shutil.copytree(ROOT / "launch", folder / "launch")
    (folder / "launch" / "venv.sh").write_text("venv=.venv\nmake_venv() { :; }\n")
    return folder


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, False), (75, True), (137, False)])
def test_slurm_puts_the_job_back_into_the_queue_after_75_only(tmp_path, code, again):
    programs = imitate(tmp_path / "programs", srun=f"exit {code}", scontrol="")
    done = launch(
        *("slurm.sbatch", "--config=c", "--workdir=w"),
        programs=programs,
        SLURM_SUBMIT_DIR=str(checkout(tmp_path / "checkout")),
        SLURM_JOB_ID="42",
        SLURM_CPUS_PER_TASK="8",
    )
    assert done.returncode == code, done.stderr
    started, *after = calls(programs)
    assert started == (
        "srun --kill-on-bad-exit=1 --cpus-per-task=8 .venv/bin/python -m mmkd_jax.train --config=c "
        "--workdir=w"
    )
    assert after == (["scontrol requeue 42"] if again else [])


def test_slurm_wants_to_be_submitted_from_the_checkout(tmp_path):
    done = launch("slurm.sbatch", "--config=c", "--workdir=w", SLURM_SUBMIT_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "submit it from the checkout" in done.stderr


# A cloud with one TPU. `story` has a line for each time that training ends: its exit code, or
# "preempted" where the TPU is taken away; a connection that breaks has no answer once. `states` has
# a line for each time that its state is asked for, until it is what it is; "silence" is no answer.
CLOUD = """
cd "$(dirname "$0")"
case "$4" in
  create) echo ACTIVE >state ;;
  list)
    if [[ -s states ]]; then
      now=$(head -n 1 states); sed -i 1d states
      [[ $now != silence ]] || exit 1
      echo "$now"
    elif [[ -e state ]]; then cat state; fi ;;
  describe) echo "no quota" ;;
  delete) rm -f state is_set_up ;;
  ssh)
    [[ $(cat state) == ACTIVE ]] || exit 1
    case "$*" in
      *"echo missing"*) [[ ! -e unreachable ]] || { rm unreachable; exit 1; }
        [[ -e is_set_up ]] || echo missing ;;
      *"uv venv"*) [[ ! -e no_network ]] || exit 1; touch is_set_up ;;
      *tail*) head -n 1 story >now; sed -i 1d story
        if [[ $(cat now) == preempted ]]; then echo SUSPENDED >state; fi ;;
      *"cat ~/mmkd_jax/exit_code"*) grep -v broken now ;;
    esac ;;
esac
"""
FLAGS = ("--name=n", "--zone=z", "--topology=v5e:4x4", "--config=c", "--workdir=gs://b/w")


def train(tmp_path, *story: str, there: bool = False, states=(), also=(), arguments=()):
    """Trains in the cloud; what was done, in words. `also` are further files of the cloud's."""
    programs = imitate(tmp_path / "programs", gcloud=CLOUD, sleep="")
    for name, lines in (("story", story), ("states", states)):
        (programs / name).write_text("".join(f"{line}\n" for line in lines))
    for name in (*also, *(("is_set_up", "state") if there else ())):
        (programs / name).write_text("ACTIVE\n")
    done = launch("tpu_vm.sh", *FLAGS, *arguments, programs=programs)
    words = []
    for call in calls(programs):
        if "cat >train.sh" in call:
            words.append("start")
        elif "tail" in call:
            words.append("follow")
        elif "uv venv" in call:
            words.append("setup")
        elif " create " in call or " delete " in call:
            words.append(call.split()[4])
    return done, words


def test_a_tpu_is_given_back_when_training_is_finished(tmp_path):
    done, words = train(tmp_path, "0")
    assert done.returncode == 0, done.stderr
    assert words == ["create", "setup", "start", "follow", "delete"]


def test_after_a_preemption_it_begins_again(tmp_path):
    done, words = train(tmp_path, "preempted", "75", "0")
    assert done.returncode == 0, done.stderr
    once = ["create", "setup", "start", "follow"]
    assert words == [*once, "delete", *once, "start", "follow", "delete"]


def test_a_connection_that_breaks_is_taken_up_again(tmp_path):
    done, words = train(tmp_path, "broken", "0", there=True)
    assert done.returncode == 0, done.stderr
    assert words == ["start", "follow", "start", "follow", "delete"]


def test_an_error_of_training_ends_it_and_costs_nothing_more(tmp_path):
    done, words = train(tmp_path, "1")
    assert done.returncode == 1
    assert "training ended with exit code 1" in done.stderr
    assert words == ["create", "setup", "start", "follow", "delete"]


def test_what_is_to_be_kept_is_kept(tmp_path):
    done, words = train(tmp_path, "0", arguments=("--keep",))
    assert done.returncode == 0, done.stderr
    assert words == ["create", "setup", "start", "follow"]
    assert "is kept, and costs" in done.stdout


def test_a_moment_without_an_answer_loses_nothing(tmp_path):
    """Nothing is deleted, and nothing is installed where training goes on."""
    states = ("ACTIVE", "silence", "silence", "PROVISIONING")
    done, words = train(tmp_path, "0", there=True, states=states, also=("unreachable",))
    assert done.returncode == 0, done.stderr
    assert words == ["start", "follow", "delete"]
    assert "n is out of reach" in done.stdout


def test_without_gcloud_nothing_is_begun(tmp_path):
    done, words = train(tmp_path, states=("silence",))
    assert done.returncode == 1
    assert "gcloud does not answer" in done.stderr
    assert words == []


def test_why_a_tpu_could_not_be_had(tmp_path):
    done, words = train(tmp_path, "0", states=("", "", "FAILED"))
    assert done.returncode == 0, done.stderr
    assert "no quota" in done.stdout
    assert words == ["create", "delete", "create", "setup", "start", "follow", "delete"]


def test_what_cannot_be_set_up_is_given_back(tmp_path):
    done, words = train(tmp_path, also=("no_network",))
    assert done.returncode == 1
    assert "could not be set up" in done.stderr
    assert words == ["create", *["setup"] * 3, "delete"]
