"""What launchers would do, as they say it themselves, and what they refuse."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmkd_jax.training._processes import _named_in
from tests.launch.launchers import DRY_RUNS, GOLDEN, ROOT, calls, imitate, launch

LAUNCH = ROOT / "launch"
SCRIPTS = sorted(
    str(path.relative_to(ROOT))
    for folder in ("launch", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".sh", ".sbatch")
)
JOBSET = ("gke/jobset.sh", "--image=i", "--config=c", "--workdir=w")


@pytest.fixture
def programs(tmp_path):
    """A machine without a GPU; whatever costs or changes anything is imitated."""
    nothing = dict.fromkeys(("gcloud", "docker", "kubectl", "xpk", "srun", "scontrol"), "exit 9")
    return imitate(tmp_path / "programs", nvidia_smi="exit 1", **nothing)


@pytest.mark.parametrize("name", DRY_RUNS)
def test_a_dry_run_says_what_it_would_do_and_does_nothing(name, programs):
    script, *arguments = DRY_RUNS[name]
    done = launch(script, "--dry_run", *arguments, programs=programs)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (GOLDEN / f"{name}.txt").read_text()
    assert done.stderr == ""
    assert [call for call in calls(programs) if not call.startswith("nvidia-smi")] == []


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.iterdir()} == set(DRY_RUNS)


def test_the_trainer_gets_the_same_flags_from_every_launcher():
    """One entry module, no argument that depends on the host, whole words."""
    for name, (_, *arguments) in DRY_RUNS.items():
        printed = (GOLDEN / f"{name}.txt").read_text()
        if name.startswith("jobset"):
            (said,) = re.findall(r"args: (\[.*\])", printed)
            words = json.loads(said)
        else:
            (said,) = re.findall(r"python -m mmkd_jax\.train (--.*)", printed)
            words = shlex.split(said.partition("' --max-restarts")[0])
        words = [word for word in words if word.startswith("--")]
        given = [word for word in arguments if re.match("--(config|workdir)", word)]
        if name == "local":
            given = ["--config=configs/quickstart.py", "--workdir=runs/quickstart"]
        elif name == "local_config":
            given.append("--workdir=runs/pulse")
        elif name not in ("slurm",):
            given = [word.replace("=gs://", "=/gcs/") for word in given]
        assert words == given, name


def test_a_machine_with_a_gpu_gets_cuda(tmp_path):
    programs = imitate(tmp_path / "programs", nvidia_smi='echo "GPU 0: H200"')
    done = launch("local.sh", "--dry_run", programs=programs)
    assert "--editable '.[cuda]'" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("local.sh", "--config", "configs/pulse.py"), "write --config=VALUE"),
        (("slurm.sbatch", "--workdir=/x"), "--config=VALUE is missing"),
        (("tpu_vm.sh", "--name=a"), "--zone=VALUE is missing"),
        (("tpu_vm.sh", "--name=a", "--zone"), "write --zone=VALUE"),
        (("tpu_vm.sh", "--name=a", "--zone=z", "--topology=v5e:4x4"), "--config=VALUE is missing"),
        (
            ("tpu_vm.sh", "create", "--name=a", "--zone=z", "--topology=v9:4"),
            "must be like v5e:4x4",
        ),
        (("tpu_vm.sh", "create", "--name=a", "--zone=z", "--topology=tpu7x:4x4x4"), "GKE only"),
        (
            ("gke/jobset.sh", "--name=a_b", "--image=i", "--config=c", "--workdir=w"),
            "small letters",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said_before_anything_is_done(arguments, message, programs):
    done = launch(*arguments, programs=programs)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert calls(programs) == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_reads_it(script):
    subprocess.run(["bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_nothing_to_say(script):
    beside = Path(sys.executable).parent / "shellcheck"
    program = str(beside) if beside.exists() else shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed; the extra 'test' brings it")
    done = subprocess.run(
        [program, "--external-sources", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def pod_of(jobset: dict) -> tuple[dict, dict]:
    """The job and its pod."""
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    return job, job["template"]["spec"]


@pytest.mark.parametrize("kind", ["tpu", "gpu"])
@pytest.mark.parametrize("filled", [False, True])
def test_jobsets_are_what_kubernetes_takes(kind, filled):
    path = GOLDEN / f"jobset_{kind}.txt" if filled else LAUNCH / "gke" / f"jobset_{kind}.yaml"
    text = path.read_text()
    (jobset,) = yaml.safe_load_all(text[text.index("apiVersion") :])
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    job, pod = pod_of(jobset)
    assert job["parallelism"] == job["completions"]
    # A run that has saved goes on, whatever its number of restarts; see EXIT_PREEMPTED.
    (_, stopped) = job["podFailurePolicy"]["rules"]
    assert stopped["onExitCodes"]["values"] == [75]
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    (rule,) = jobset["spec"]["failurePolicy"]["rules"]
    assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    # A plain user.
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 1000
    (container,) = pod["containers"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert stopped["onExitCodes"]["containerName"] == container["name"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_hosts_of_slices():
    text = (GOLDEN / "jobset_tpu.txt").read_text()
    jobset = yaml.safe_load(text[text.index("apiVersion") :])
    job, pod = pod_of(jobset)
    assert jobset["spec"]["replicatedJobs"][0]["replicas"] == 2
    assert job["parallelism"] * pod["containers"][0]["resources"]["limits"]["google.com/tpu"] == 32
    assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == "4x8"


def test_pods_with_gpus_find_each_other():
    text = (GOLDEN / "jobset_gpu.txt").read_text()
    jobset = yaml.safe_load(text[text.index("apiVersion") :])
    job, pod = pod_of(jobset)
    entries = {entry["name"]: entry for entry in pod["containers"][0]["env"]}
    index = entries.pop("JAX_PROCESS_ID")["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    environment = {name: entry["value"] for name, entry in entries.items()}
    named = _named_in(environment | {"JAX_PROCESS_ID": str(job["completions"] - 1)})
    assert named == {
        "coordinator_address": "first-host-0-0.first:8482",
        "num_processes": 3,
        "process_id": 2,
    }


def test_the_image_runs_as_a_plain_user_and_takes_what_is_there():
    lines = (LAUNCH / "gke" / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000:1000"]
    (base,) = [line for line in lines if line.startswith("FROM ")]
    assert re.fullmatch(r"FROM python:3\.\d+\.\d+-slim-\w+", base)
    assert 'ENTRYPOINT ["python", "-m", "mmkd_jax.train"]' in lines
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    ignored = (LAUNCH / "gke" / "Dockerfile.dockerignore").read_text().splitlines()
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored


def test_every_dependency_is_pinned_at_a_version_that_setup_allows():
    from importlib.metadata import requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (LAUNCH / "versions.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    versions = {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}
    assert all(re.fullmatch(r"==[\w.+]+", version) for version in versions.values())
    assert {"jaxlib", "ml-dtypes", "tensorstore", "scipy"} <= set(versions)
    for text in requires("mmkd_jax"):
        wanted = Requirement(text)
        if wanted.marker is None:
            pinned = versions[canonicalize_name(wanted.name)].removeprefix("==")
            assert wanted.specifier.contains(pinned), text
