"""The estimators: settings, fits and attributes in the manner of scikit-learn."""
