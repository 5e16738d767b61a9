"""Methods that scikit-learn's mixtures call while they fit, and fastem's never do.

A subclass that has its own is refused where it would be fitted, or asked for predictions, as if it had none.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from fastem.estimators.sklearn_counterparts import STANDING_IN

E_STEP = (
    "em(sweep, maximize, params) runs EM with an E-step of your own, accumulate(params, X) is the one of fastem, and "
    "sample_weight tells it what each row counts"
)
M_STEP = (
    "fixed holds parameters where they start, prior and reg_covar change where the M-step leads, and em(sweep, "
    "maximize, params) takes one of your own"
)
DENSITY = "accumulate, posterior and em take params values of a family of your own (see the page on families)"
BOUND = "stopping and tol say when a fit ends, and em(sweep, maximize, params) takes statistics with another loglik"
START = "weights_init, means_init, precisions_init and init_params say where a fit begins, and warm_start goes on"
VALUES = "params_ is the fitted mixture as one value; assign weights_, means_ and covariances_ to change it"
CHECKS = "override fit, and call super().fit(X) from it"
REPORT = "verbose and verbose_interval say what is printed, and em(..., on_iteration=...) calls you"

INSTEAD = {
    "_e_step": E_STEP,
    "_m_step": M_STEP,
    "_estimate_log_prob": DENSITY,
    "_estimate_log_weights": DENSITY,
    "_estimate_weighted_log_prob": DENSITY,
    "_estimate_log_prob_resp": DENSITY,
    "_compute_lower_bound": BOUND,
    "_initialize": START,
    "_initialize_parameters": START,
    "_get_parameters": VALUES,
    "_set_parameters": VALUES,
    "_check_parameters": CHECKS,
    "_check_initial_parameters": CHECKS,
    "_check_X": CHECKS,
    "_validate_data": CHECKS,
    "_validate_params": CHECKS,
    "_print_verbose_msg_init_beg": REPORT,
    "_print_verbose_msg_iter_end": REPORT,
    "_print_verbose_msg_init_end": REPORT,
}
"""The hooks of scikit-learn 1.3 to 1.9, in its base classes and GaussianMixture, and how their effect is had here.
`_n_parameters` is not among them, since fastem calls it as well."""

OF_PREDICTIONS = {name for name, instead in INSTEAD.items() if instead is DENSITY}
"""Those that scikit-learn calls for a prediction too."""

BEFORE_A_PATCH = ". A module that is imported before patch_sklearn() is called keeps scikit-learn's class as its base"
"""Said where a patch may have given a class of another package this base."""

HOME = ("fastem", "sklearn")
"""Packages whose own classes may have such methods: fastem has those that clients call, in sklearn_names."""


def refuse(mixture: object, names: Iterable[str] = INSTEAD) -> None:
    """Raise TypeError for an estimator that has one of these hooks from anybody but its base classes.

    It is asked here, when a fit begins, and not when the class is made: a class may have methods of these names for a
    fit of its own, which calls them.
    """
    for name in filter(partial(hasattr, mixture), names):  # mostly none: a prediction of one row takes 0.1 ms
        owner = next((each for each in type(mixture).__mro__ if name in vars(each)), None)
        if name in vars(mixture) or (owner is not None and owner.__module__.split(".")[0] not in HOME):
            raise TypeError(
                f"{type(mixture).__name__} overrides {name}, which scikit-learn calls and fastem does not, so that it "
                f"would have no effect. In its place, {INSTEAD[name]}{BEFORE_A_PATCH if STANDING_IN else ''}"
            )
