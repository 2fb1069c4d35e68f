# Effect sizes and AUC of two samples: effectsize, pROC, boot; writes separation*.csv beside itself.
# Rscript separation.R [data folder]
suppressMessages({library(effectsize); library(pROC); library(boot)})
args <- commandArgs(trailingOnly = TRUE)
folder <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA", "../../../shared/data")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))

set.seed(20240501)
cases <- list(
  normal = list(x = round(rnorm(23, 0.7, 1.2), 6), y = round(rnorm(31), 6)),
  skewed = list(x = round(rexp(17, 0.5), 6), y = round(rexp(40), 6)),
  ties = list(x = sample(0:4, 26, TRUE, c(1, 2, 3, 2, 1)), y = sample(0:4, 19, TRUE, c(3, 3, 2, 1, 1))),
  negative = list(x = round(rnorm(12, -2), 6), y = round(rnorm(9, 0, 3), 6)),
  smallest = list(x = c(1, 2.5), y = c(0.5, 3, 4)),
  apart = list(x = c(6, 7, 9, 12), y = c(1, 2, 3, 4, 5))
)
data <- do.call(rbind, lapply(names(cases), function(name) with(cases[[name]], data.frame(
  case = name, arm = rep(c("A", "P"), c(length(x), length(y))), value = c(x, y)))))
write.csv(data, file.path(here, "separation_data.csv"), row.names = FALSE)

liver <- read.csv(file.path(folder, "tab_liver_other_trials", "texmex_liver.csv"))
change <- log(liver$ALT.M / liver$ALT.B)
cases$texmex_D_v_A <- list(x = change[liver$dose == "D"], y = change[liver$dose == "A"])
pbc <- read.csv(file.path(folder, "tab_r_survival_liver", "pbc.csv"))
pbc <- pbc[!is.na(pbc$trt), ]
cases$pbc_copper <- list(x = na.omit(pbc$copper[pbc$trt == 1]), y = na.omit(pbc$copper[pbc$trt == 2]))

noncentral <- function(t, df, p) uniroot(function(n) suppressWarnings(pt(t, df, n)) - p,
  t + c(-1, 1) * (10 + 3 * abs(t)), tol = 1e-12)$root
one <- function(x, y, level = 0.95) {
  m <- length(x); n <- length(y); df <- m + n - 2
  s <- sqrt(((m - 1) * var(x) + (n - 1) * var(y)) / df)
  h <- sqrt(1 / m + 1 / n); t <- (mean(x) - mean(y)) / (s * h)
  j <- exp(lgamma(df / 2) - log(sqrt(df / 2)) - lgamma((df - 1) / 2))
  g <- hedges_g(x, y, ci = level); d <- glass_delta(x, y, ci = level)
  hg <- sqrt(1 / n + var(x) / (m * var(y))); tg <- (mean(x) - mean(y)) / (sd(y) * hg)
  cd <- suppressWarnings(cliffs_delta(x, y, ci = level))
  r <- roc(controls = y, cases = x, direction = "<", quiet = TRUE)
  ci <- suppressWarnings(as.numeric(ci.auc(r, conf.level = level, method = "delong")))
  c(g = g$Hedges_g, g_low = j * h * noncentral(t, df, (1 + level) / 2),
    g_high = j * h * noncentral(t, df, (1 - level) / 2),
    g_low_effectsize = g$CI_low, g_high_effectsize = g$CI_high,
    glass_delta = d$Glass_delta, glass_low = hg * noncentral(tg, n - 1, (1 + level) / 2),
    glass_high = hg * noncentral(tg, n - 1, (1 - level) / 2),
    cliffs_delta = cd$r_rank_biserial, delta_null_low = cd$CI_low, delta_null_high = cd$CI_high,
    auc = ci[2], auc_low = ci[1], auc_high = ci[3], auc_variance = suppressWarnings(var(r)))
}
out <- do.call(rbind, lapply(names(cases), function(name) do.call(rbind, lapply(c(0.95, 0.9), function(level) {
  v <- one(cases[[name]]$x, cases[[name]]$y, level)
  data.frame(case = name, conf_level = level, statistic = names(v), value = unname(v))
}))))
out$value <- format(out$value, digits = 17)
write.csv(out, file.path(here, "separation.csv"), row.names = FALSE, quote = FALSE)

# BCa limits, subjects resampled within arm; two-sample acceleration by the jackknife
bca <- do.call(rbind, lapply(c("normal", "skewed"), function(name) {
  x <- cases[[name]]$x; y <- cases[[name]]$y; m <- length(x); n <- length(y)
  v <- c(x, y); arm <- rep(1:2, c(m, n))
  stat <- function(d, i) {
    a <- d[i][arm[i] == 1]; b <- d[i][arm[i] == 2]; k <- length(a); l <- length(b); df <- k + l - 2
    s <- sqrt(((k - 1) * var(a) + (l - 1) * var(b)) / df)
    j <- exp(lgamma(df / 2) - log(sqrt(df / 2)) - lgamma((df - 1) / 2))
    c(j * (mean(a) - mean(b)) / s, mean((sign(outer(a, b, "-")) + 1) / 2))
  }
  b <- boot(v, stat, R = 40000, strata = arm)
  # boot.ci does not divide the influence values by the sizes of the strata, Efron (1987) does
  do.call(rbind, lapply(1:2, function(k) {
    left <- sapply(seq_along(v), function(i) {
      kept <- setdiff(seq_along(v), i); a <- v[kept][arm[kept] == 1]; b <- v[kept][arm[kept] == 2]
      one <- arm; arm <<- rep(1:2, c(length(a), length(b))); value <- stat(c(a, b), seq_along(c(a, b)))[k]; arm <<- one; value })
    u <- unlist(lapply(1:2, function(s) { l <- left[arm == s]; (length(l) - 1) * (mean(l) - l) / length(l) }))
    accel <- sum(u^3) / (6 * sum(u^2)^1.5)
    t <- b$t[, k]; z0 <- qnorm(mean(t < b$t0[k]) + mean(t == b$t0[k]) / 2); z <- z0 + qnorm(c(0.025, 0.975))
    ci <- quantile(t, pnorm(z0 + z / (1 - accel * z)), names = FALSE)
    data.frame(case = name, statistic = c("g", "auc")[k], low = ci[1], high = ci[2], acceleration = accel)
  }))
}))
write.csv(bca, file.path(here, "separation_bca.csv"), row.names = FALSE)
