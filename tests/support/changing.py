"""Blocks that are not what they were when they are made anew."""


class Changing:
    """Blocks of which the second comes as `late` has it, once it has been read so many times."""

    def __init__(self, times, late):
        self.left, self.late = times, late

    def __call__(self, X, block_id=None):
        if block_id[0] != 1:
            return X
        self.left -= 1
        return X if self.left >= 0 else self.late(X)
