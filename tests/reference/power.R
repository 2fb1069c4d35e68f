# Reference numbers of tests/endpoints/test_power.py: longpower 1.0.27 where it is installed, the
# formula (3) of Lu, Luo & Chen (2008) written out in base R, and power.t.test of base R.
#   Rscript power.R [unused] [output folder]
args <- commandArgs(TRUE)
out <- if (length(args) > 1) args[2] else "."
number <- function(x) formatC(x, digits = 15, format = "g", width = 1)

# variance per subject of the mean at the last visit, times 1 / sigma^2
phi <- function(R, kept) {
  J <- nrow(R)
  share <- kept - c(kept[-1], 0)
  information <- Reduce(`+`, lapply(seq_len(J), function(j) {
    part <- matrix(0, J, J)
    part[1:j, 1:j] <- solve(R[1:j, 1:j, drop = FALSE])
    share[j] * part
  }))
  solve(information)[J, J]
}
ar1 <- function(rho, J) rho^abs(outer(1:J, 1:J, "-"))
cs <- function(rho, J) { R <- matrix(rho, J, J); diag(R) <- 1; R }
general <- matrix(c(1, .8, .6, .5, .8, 1, .7, .55, .6, .7, 1, .75, .5, .55, .75, 1), 4)
# lambda = reference subjects for one in the other arm, as longpower's "allocation"
cases <- list(
  list(name = "cs", R = cs(0.25, 4), ra = c(1, .9, .8, .7), rb = c(1, .9, .8, .7), lambda = 1, delta = .5, sigma = 1, power = .8),
  list(name = "ar1", R = ar1(0.6, 4), ra = c(1, .76, .63, .52), rb = c(1, .87, .81, .78), lambda = 1, delta = .9, sigma = 1, power = .9),
  list(name = "ar1 2:1", R = ar1(0.6, 4), ra = c(1, .76, .63, .52), rb = c(1, .87, .81, .78), lambda = 2, delta = .9, sigma = 1, power = .9),
  list(name = "general", R = general, ra = c(.97, .9, .85, .75), rb = c(.95, .9, .8, .7), lambda = .5, delta = 1.2, sigma = 3.5, power = .85),
  list(name = "one visit", R = matrix(1), ra = .8, rb = .8, lambda = 1, delta = .4, sigma = 1.3, power = .9))
have <- requireNamespace("longpower", quietly = TRUE)
rows <- lapply(cases, function(x) {
  pa <- phi(x$R, x$ra)
  pb <- phi(x$R, x$rb)
  z <- qnorm(.025) + qnorm(1 - x$power)
  n_a <- (pa + x$lambda * pb) * z^2 * x$sigma^2 / x$delta^2
  other <- NA_real_
  if (have && nrow(x$R) > 1) {
    found <- longpower::power.mmrm(Ra = x$R, ra = x$ra, rb = x$rb, Rb = x$R, sigmaa = x$sigma,
                                   lambda = x$lambda, delta = x$delta, power = x$power)
    other <- found$n1
    stopifnot(abs(found$n1 / n_a - 1) < 1e-10)
  }
  data.frame(case = x$name, n_ref = number(n_a), longpower = number(other), phi_ref = number(pa), phi_arm = number(pb))
})
write.csv(do.call(rbind, rows), file.path(out, "power_mmrm.csv"), row.names = FALSE, quote = FALSE)

# table 2 of Lu, Luo & Chen: variance inflation under AR(1); J visits, dropout a, rho^(J - 1)
table2 <- expand.grid(p = c(0, .1, .3, .5, .7, .9), a = (1:4) / 10, J = c(2, 4))
table2$phi <- number(mapply(function(p, a, J) phi(ar1(p^(1 / (J - 1)), J), seq(1, 1 - a, length = J)),
                            table2$p, table2$a, table2$J))
write.csv(table2, file.path(out, "power_table2.csv"), row.names = FALSE, quote = FALSE)

# complete data at one visit: the t test, and ANCOVA with variance 1 - rho^2 and 1 df less
grid <- expand.grid(n = c(3, 8, 20, 64, 250), effect = c(.2, .5, 1.1), rho = c(0, .4, .8))
grid$power <- number(with(grid, mapply(function(n, effect, rho) {
  sd <- sqrt(1 - rho^2)
  if (rho == 0) {
    return(power.t.test(n = n, delta = effect, sd = 1, sig.level = .05, strict = TRUE)$power)
  }
  df <- 2 * n - 3
  t <- qt(.975, df)
  ncp <- effect / sd / sqrt(2 / n)
  pt(t, df, ncp, lower.tail = FALSE) + pt(-t, df, ncp)
}, n, effect, rho)))
write.csv(grid, file.path(out, "power_ancova.csv"), row.names = FALSE, quote = FALSE)
