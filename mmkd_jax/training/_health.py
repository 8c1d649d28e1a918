"""Stand-in."""
class Watch:
    def __init__(self, limit): self.skipped=0
    def see(self, step, metrics, examples): return bool(metrics["finite"])
    def get_state(self): return {}
    def set_state(self, s): pass
