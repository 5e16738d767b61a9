# A fit of mclust with its own settings, whose parameters are written down: see bench/bench_answer.py.
#
# Rscript mclust_fit.R MODEL N D K FOLDER

suppressPackageStartupMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
n <- as.numeric(arguments[2])
d <- as.numeric(arguments[3])
k <- as.numeric(arguments[4])
file_in <- function(name) file.path(arguments[5], name)
X <- matrix(readBin(file_in("rows"), "double", n * d), n, d, byrow = TRUE)

begun <- proc.time()
fit <- Mclust(X, G = k, modelNames = arguments[1], verbose = FALSE)
taken <- sum((proc.time() - begun)[1:2])
found <- fit$parameters
if (!is.null(found)) {  # it tells nothing where a covariance becomes singular
  variance <- found$variance
  covariances <- if (d == 1) rep_len(variance$sigmasq, k) else variance$sigma
  writeBin(as.double(c(found$pro, found$mean, covariances)), file_in("answer"))
}
cat(taken, "\n")
