"""Stand-in."""
EXIT_PREEMPTED=75
class StopRequest:
    def __enter__(self): return self
    def __exit__(self,*a): pass
    def requested_at(self, step): return False
