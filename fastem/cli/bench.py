"""``fastem bench``: write the times of fits on this machine in a table."""

from __future__ import annotations

import argparse

from fastem._table import aligned
from fastem.cli.speed import timings
from fastem.cli.streams import FAULT, SUCCESS, write_message, write_result


def bench(args: argparse.Namespace) -> int:
    """Time fits, and compare them with scikit-learn's if it is installed."""
    headings = ("n", "d", "k", "covariance", "fastem ns", "scikit-learn ns", "times", "difference")
    rows, agree = [], True
    for timing in timings(args.quick):
        write_message(f"n = {timing.n}, d = {timing.d}, k = {timing.k}, {timing.covariance_type}: done")
        shape = (str(timing.n), str(timing.d), str(timing.k), timing.covariance_type)
        ratio = timing.theirs / timing.ours
        rows.append((*shape, f"{timing.ours:.2f}", f"{timing.theirs:.1f}", f"{ratio:.0f}", f"{timing.difference:.1e}"))
        agree = agree and timing.agrees
    write_result("Time of a fit from a given start, for each iteration, point and component:")
    write_result(aligned(headings, rows))
    if not agree:
        write_message("the answers differ from scikit-learn's")
    return SUCCESS if agree else FAULT
