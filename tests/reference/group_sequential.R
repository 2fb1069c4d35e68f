# Reference numbers for tests/endpoints/test_group_sequential.py: Rscript group_sequential.R
# Boundaries solved on multivariate normal probabilities (Miwa's deterministic algorithm).
suppressMessages(library(mvtnorm))
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
spend <- list("obrien-fleming" = function(t, a) 2 * pnorm(qnorm(a / 2) / sqrt(t)), pocock = function(t, a) a * log(1 + (exp(1) - 1) * t),
  "hwang-shih-decani" = function(t, a) a * (1 - exp(4 * t)) / (1 - exp(4)))
inside <- function(t, b, sides) { k <- length(b); R <- outer(t[1:k], t[1:k], function(x, y) sqrt(pmin(x, y) / pmax(x, y)))
  if (k == 1) return(if (sides == 1) pnorm(b) else 2 * pnorm(b) - 1)
  pmvnorm(lower = if (sides == 1) rep(-Inf, k) else -b, upper = b, corr = R, algorithm = Miwa(steps = 4096))[1] }
rows <- NULL
for (case in list(list(t = c(.5, 1), a = .025, s = 1), list(t = c(.3, .55, 1), a = .025, s = 1), list(t = 1:4 / 4, a = .05, s = 2))) for (n in names(spend)) {
  cum <- case$s * spend[[n]](case$t, case$a / case$s); b <- NULL
  for (k in seq_along(case$t)) b <- c(b, uniroot(function(c) 1 - inside(case$t, c(b, c), case$s) - cum[k], c(0, 8), tol = 1e-10)$root)
  rows <- rbind(rows, data.frame(spending = n, sides = case$s, alpha = case$a, looks = length(b), look = seq_along(b), information = case$t, alpha_spent = cum, boundary = b)) }
write.csv(format(rows, digits = 16, trim = TRUE), file.path(out, "group_sequential.csv"), row.names = FALSE, quote = FALSE)
