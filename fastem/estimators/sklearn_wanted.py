"""A switch that is set before the estimators are imported."""

wanted = True
"""Whether they are estimators of scikit-learn, where it is installed.  The command line shows them to nobody, and saves
the two seconds that its import takes."""
