"""Pictures of fitted mixtures.  Matplotlib is loaded when one is drawn."""
