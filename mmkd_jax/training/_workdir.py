"""Stand-in."""
import contextlib, json
from pathlib import Path
class WorkdirBusyError(RuntimeError): pass
class Workdir:
    def __init__(self, path, must_exist=False):
        self.path=Path(path); self.path.mkdir(parents=True,exist_ok=True)
        for n,f in dict(checkpoints="checkpoints",metrics="metrics.jsonl",throughput="throughput.jsonl",tensorboard="tensorboard",results="results.json",student="student",config="config.json").items(): setattr(self,n,self.path/f)
    @contextlib.contextmanager
    def lock(self): yield
    def check_config(self, config, may_change=()): self.config.write_text(json.dumps(config,indent=2))
