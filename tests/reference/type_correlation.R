# Rank correlations with Bonett-Wright limits, means by region, variance between sites, in base R.
# Writes type_correlation.csv (the data) and type_correlation_numbers.csv (what R makes of them).
set.seed(11)
n <- 40
site <- rep(c("A", "B", "C"), c(18, 12, 10))
fat <- round(rgamma(n, 2, 0.2), 2)
d <- data.frame(
  USUBJID = sprintf("S%02d", seq_len(n)), SITEID = site,
  TV01 = round(plogis(-2 + 0.08 * fat + rnorm(n, 0, 0.5)), 4),
  SHELL1 = round(plogis(-1.8 + 0.07 * fat + rnorm(n, 0, 0.5)), 4),
  STEATOSIS = pmin(3, floor(fat / 6)), FIBROSIS = sample(0:4, n, TRUE),
  SNR = round(18 + 2 * (site == "B") + rnorm(n, 0, 2), 3)
)
folder <- if (length(commandArgs(TRUE))) commandArgs(TRUE)[1] else "."
write.csv(d, file.path(folder, "type_correlation.csv"), row.names = FALSE)
num <- list()
add <- function(name, value) num[[length(num) + 1]] <<- data.frame(quantity = name, value = value)
for (o in c("STEATOSIS", "FIBROSIS")) {
  r <- cor(d$TV01, d[[o]], method = "spearman")
  w <- qnorm(0.975) * sqrt((1 + r^2 / 2) / (n - 3))
  add(paste(o, "rho"), r)
  add(paste(o, "low"), tanh(atanh(r) - w))
  add(paste(o, "high"), tanh(atanh(r) + w))
}
t1 <- t.test(d$TV01)
add("mean", unname(t1$estimate)); add("mean low", t1$conf.int[1]); add("mean high", t1$conf.int[2])
t2 <- t.test(d$SHELL1, d$TV01, paired = TRUE)
add("difference", unname(t2$estimate))
add("difference low", t2$conf.int[1]); add("difference high", t2$conf.int[2])
s <- summary(aov(SNR ~ SITEID, d))[[1]]
f <- s[["F value"]][1]; k <- 3
n0 <- (n - sum(table(site)^2) / n) / (k - 1)
fl <- f / qf(0.975, k - 1, n - k); fu <- f * qf(0.975, n - k, k - 1)
add("F", f); add("p", s[["Pr(>F)"]][1]); add("icc", (f - 1) / (f + n0 - 1))
add("icc low", (fl - 1) / (fl + n0 - 1)); add("icc high", (fu - 1) / (fu + n0 - 1))
out <- do.call(rbind, num)
out$value <- format(out$value, digits = 15)
write.csv(out, file.path(folder, "type_correlation_numbers.csv"), row.names = FALSE, quote = FALSE)
