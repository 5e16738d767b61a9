"""The columns that a command reads, by their purpose: as its arguments, or a model, name them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from fastem.cli.arguments import as_names
from fastem.cli.missing import Missing
from fastem.estimators.base import Mixture


@dataclass(frozen=True)
class Roles:
    """The columns that are read, by their purpose."""

    features: list[str] | None = None
    """None stands for all columns that have no other purpose."""
    trials: list[str] | None = None
    failures: list[str] | None = None
    n_trials: int | None = None
    """Trials of all rows."""
    weight: str | None = None
    kept: list[str] | None = None
    missing: Missing = field(default_factory=Missing)

    @classmethod
    def asked(cls, args: argparse.Namespace) -> Self:
        """Return the columns that the arguments ask for; ValueError if these contradict each other."""
        check_arguments(args)
        number = int(args.trials) if args.trials and args.trials.isdecimal() else None
        return cls(
            args.successes or args.columns,
            as_names(args.trials) if args.trials and number is None else None,
            args.failures,
            number,
            getattr(args, "weight", None),
            args.keep,
            Missing.of(args.missing or [], args.drop_missing, args.keep_missing),
        )

    def or_of(self, mixture: Mixture) -> Self:
        """Return the columns that a model was fitted to, where the arguments ask for no others."""
        features = list_of(mixture, "feature_names_in_")
        trials, failures = list_of(mixture, "trials_names_in_"), list_of(mixture, "failures_names_in_")
        words = self.missing.words.union(list_of(mixture, "missing_words_") or [])
        missing = replace(self.missing, words=words)
        if mixture.missing == "marginalize" and not missing.accepted:
            missing = replace(missing, accepted=True, kept=True)
        found = replace(self, features=self.features or features, missing=missing)
        if self.trials or self.failures or self.n_trials is not None:
            return found
        return replace(found, trials=trials, failures=failures, n_trials=getattr(mixture, "n_trials", None))

    @property
    def has_trials(self) -> bool:
        """Whether it is known how many trials rows have."""
        return self.n_trials is not None or bool(self.trials or self.failures)

    def remember(self, mixture: Mixture, names: Sequence[str]) -> None:
        """Set the attributes of a mixture from which `or_of` finds these columns again."""
        mixture.feature_names_in_ = np.array(names, object)
        if self.trials:
            mixture.trials_names_in_ = np.array(self.trials, object)
        if self.failures:
            mixture.failures_names_in_ = np.array(self.failures, object)
        if words := sorted(self.missing.words - Missing().words):
            mixture.missing_words_ = np.array(words, object)


def check_arguments(args: argparse.Namespace) -> None:
    """Raise ValueError for arguments that name the same thing twice, or half of it."""
    for pair in (("columns", "successes"), ("trials", "failures"), ("drop_missing", "keep_missing")):
        if all(getattr(args, name) for name in pair):
            first, second = (name.replace("_", "-") for name in pair)
            raise ValueError(f"--{first} and --{second} cannot both be given")
    if args.failures and args.command == "fit" and not args.successes:
        raise ValueError("--failures needs --successes")
    if args.successes and args.command == "fit" and not (args.failures or args.trials):
        raise ValueError("--successes needs --failures or --trials")


def list_of(mixture: Mixture, attribute: str) -> list[str] | None:
    """Return the names that a mixture remembers; None if it has none."""
    names = getattr(mixture, attribute, None)
    return None if names is None else [str(name) for name in names]
