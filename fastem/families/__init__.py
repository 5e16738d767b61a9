"""What a mixture is made of: parameters, statistics, starts, priors."""
