# Reference numbers for tests/endpoints/test_group_sequential.py: Rscript group_sequential_gsdesign.R
# One-sided boundaries at unequal looks by gsDesign 3 (not in Debian); GSDESIGN_SO names its compiled library.
dyn.load(Sys.getenv("GSDESIGN_SO"))
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
bound <- function(t, increments) { k <- length(t)
  .C("gsbound1", as.integer(k), 0, as.double(t), rep(-30, k), rep(0, k), rep(0, k), as.double(increments), 1e-12, 80L, 0L, 0L)[[5]] }
spent <- function(t, a, g) if (g == 0) a * t else a * (1 - exp(-g * t)) / (1 - exp(-g))
rows <- NULL
for (t in list(c(.15, .5, .62, 1), c(.3, .35, .9, .95, 1), c(.1, 1), seq(.1, 1, .1))) for (g in c(-8, -4, -2, 0, 1, 3))
  rows <- rbind(rows, data.frame(gamma = g, looks = length(t), look = seq_along(t), information = t,
    boundary = bound(t, diff(c(0, spent(t, .025, g))))))
write.csv(format(rows, digits = 16, trim = TRUE), file.path(out, "group_sequential_gsdesign.csv"), row.names = FALSE, quote = FALSE)
