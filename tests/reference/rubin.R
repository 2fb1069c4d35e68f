# Reference numbers of tests/endpoints/test_imputation.py: pooling by R mice (Barnard & Rubin 1999).
#   Rscript rubin.R [unused] [output folder]
suppressMessages(library(mice))
args <- commandArgs(TRUE)
out <- if (length(args) > 1) args[2] else "."
cases <- list(
  list(Q = c(1.2, 0.9, 1.5, 1.1, 1.3), U = c(.04, .05, .045, .05, .04), n = 61, k = 3),
  list(Q = c(-2.1, -2.0, -2.2, -2.15, -2.05, -2.1), U = c(.3, .28, .31, .3, .29, .3), n = 120, k = 4)
)
rows <- lapply(seq_along(cases), function(i) {
  x <- with(cases[[i]], pool.scalar(Q = Q, U = U, n = n, k = k))
  data.frame(case = i, estimate = x$qbar, se = sqrt(x$t), df = x$df,
             share = (1 + 1 / x$m) * x$b / x$t)
})
write.csv(format(do.call(rbind, rows), digits = 15), file.path(out, "rubin.csv"), row.names = FALSE)
