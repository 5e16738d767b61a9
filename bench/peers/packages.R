# A package of R as a peer: see bench/bench_peers.py.
#
# Rscript packages.R PACKAGE FOLDER

arguments <- commandArgs(trailingOnly = TRUE)
package <- arguments[1]
options(error = quote(quit(status = 1)), showErrorCalls = FALSE)  # the last line of stderr says what was wrong
file_in <- function(name) file.path(arguments[2], name)
sink(nullfile())  # what packages say of themselves and of their progress

if (!requireNamespace(package, quietly = TRUE)) stop("R has no such package", call. = FALSE)
shape <- scan(file_in("shape"), quiet = TRUE)
n <- shape[1]; d <- shape[2]; k <- shape[3]; trials <- shape[4]
X <- matrix(readBin(file_in("rows"), "double", n * d), n, d, byrow = TRUE)
start <- readBin(file_in("start"), "double", k + k * d + k * d * d)
weights <- start[1:k]
means <- matrix(start[k + 1:(k * d)], k, d, byrow = TRUE)
covariances <- if (trials == 0) array(start[-(1:(k + k * d))], c(d, d, k))

# Each package: given(iterations) and own(iterations) run EM; told(fit) is a list of iterations made, weights (k), means
# (k x d) and covariances (d x d x k).

mclust <- if (package == "mclust") local({
  library(mclust)
  if (trials > 0) stop("it has no binomial mixtures", call. = FALSE)
  model <- if (d == 1) "V" else "VVV"
  variance <- list(modelName = model, d = d, G = k, sigma = covariances, sigmasq = covariances[1, 1, ],
                   cholsigma = array(apply(covariances, 3, chol), dim(covariances)))
  control <- function(iterations) emControl(itmax = iterations, tol = 0)
  list(
    given = function(iterations)
      em(modelName = model, data = drop(X), control = control(iterations),
         parameters = list(pro = weights, mean = t(means), variance = variance)),
    own = function(iterations) Mclust(X, G = k, modelNames = model, control = control(iterations), verbose = FALSE),
    told = function(fit) {  # iterations are below 0 where it has not converged; Mclust does not tell them
      found <- fit$parameters
      spread <- if (d == 1) found$variance$sigmasq else found$variance$sigma
      list(abs(c(attr(fit, "info")["iterations"], 0)[1]), found$pro, t(matrix(found$mean, d, k)), spread)
    })
})

mixtools <- if (package == "mixtools") local({
  library(mixtools)
  if (d > 1) stop("its mvnormalmixEM loops in R, over rows and pairs of components", call. = FALSE)
  found <- function(fit, ...) {
    if (fit$restarts > 0) stop("it began anew, by a numerical problem of its own", call. = FALSE)
    list(...)
  }
  # of the total: where it gains less, rounding may lower it, and then multmixEM begins anew
  coins <- function(...) multmixEM(cbind(X, trials - X), k = k, epsilon = 1e-3, ...)
  normals <- function(...) normalmixEM(X, k = k, epsilon = 0, ...)
  if (trials > 0) list(
    given = function(iterations) coins(lambda = weights, theta = cbind(means, 1 - means), maxit = iterations),
    own = function(iterations) coins(maxit = iterations),
    told = function(fit) found(fit, length(fit$all.loglik), fit$lambda, fit$theta[, 1]))
  else list(
    given = function(iterations)
      normals(lambda = weights, mu = means, sigma = sqrt(covariances[1, 1, ]), maxit = iterations),
    own = function(iterations) normals(maxit = iterations),
    told = function(fit) found(fit, length(fit$all.loglik) - 1, fit$lambda, fit$mu, fit$sigma^2))
})

flexmix <- if (package == "flexmix") local({
  library(flexmix)
  control <- function(iterations) list(iter.max = iterations, tolerance = 0, minprior = 0)
  data <- if (trials > 0) cbind(X, trials - X) else X
  model <- if (trials > 0) FLXMRglm(family = "binomial") else FLXMCmvnorm(diagonal = FALSE)
  run <- function(iterations, ...) flexmix::flexmix(data ~ 1, k = k, model = model, control = control(iterations), ...)
  density <- function(j)
    if (trials > 0) dbinom(X, trials, means[j, ]) else mvtnorm::dmvnorm(X, means[j, ], as.matrix(covariances[, , j]))
  # it starts from responsibilities, and so with the M-step
  resp <- sapply(1:k, function(j) weights[j] * density(j))
  resp <- resp / rowSums(resp)
  list(
    given = function(iterations) run(iterations, cluster = resp),
    own = function(iterations) run(iterations),
    told = function(fit) {
      found <- parameters(fit)
      if (trials > 0) return(list(fit@iter, prior(fit), plogis(found)))
      list(fit@iter, prior(fit), t(found[1:d, ]), found[-(1:d), ])
    })
})

peer <- get(package)
sink()
cat(as.character(packageVersion(package)), "\n")
questions <- file("stdin", "r")
while (length(line <- readLines(questions, 1)) > 0) {
  asked <- strsplit(line, " ")[[1]]
  iterations <- as.numeric(asked[2])
  if (asked[1] == "own") set.seed(as.numeric(asked[3]))
  sink(nullfile())
  begun <- Sys.time()
  fit <- if (asked[1] == "own") peer$own(iterations) else peer$given(iterations)
  taken <- as.numeric(Sys.time() - begun, units = "secs")
  told <- peer$told(fit)
  sink()
  parameters <- c(told[[2]], t(matrix(told[[3]], nrow = k)), unlist(told[-(1:3)]))
  writeBin(as.double(parameters), file_in("answer"))
  cat(taken, told[[1]], "\n")
}
