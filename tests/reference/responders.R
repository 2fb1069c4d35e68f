# Reference numbers for tests/endpoints/test_responders.py: Rscript responders.R [data folder]
# Miettinen-Nurminen limits come from the likelihood maximised numerically under the constraint,
# not from the cubic or quadratic that the package solves.
suppressMessages({library(coin); library(MASS)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)

tables <- list(
  plain = rbind(c(56, 70, 48, 80)), small = rbind(c(3, 9, 1, 11)), none = rbind(c(0, 10, 0, 12)),
  all = rbind(c(10, 10, 12, 12)), extreme = rbind(c(10, 10, 0, 12)), zero = rbind(c(0, 20, 5, 18)),
  strata = rbind(c(16, 20, 20, 22), c(13, 24, 8, 19), c(3, 17, 2, 16), c(5, 5, 1, 6)))
pbc <- read.csv(file.path(data, "tab_r_survival_liver", "pbc.csv")); pbc <- pbc[!is.na(pbc$trt), ]
k <- !is.na(pbc$hepato)
tables$pbc <- t(sapply(sort(unique(pbc$stage)), function(s) { g <- pbc[k & pbc$stage == s, ]
  c(sum(g$hepato[g$trt == 1]), sum(g$trt == 1), sum(g$hepato[g$trt == 2]), sum(g$trt == 2)) }))
write(do.call(rbind, lapply(names(tables), function(n) data.frame(name = n, stratum = seq_len(nrow(tables[[n]])),
  x1 = tables[[n]][, 1], n1 = tables[[n]][, 2], x0 = tables[[n]][, 3], n0 = tables[[n]][, 4]))), "responders_tables.csv")

xlogy <- function(x, y) ifelse(x == 0, 0, x * log(y))
bisect <- function(f, a, b) { fa <- f(a); for (i in 1:200) { m <- (a + b) / 2; fm <- f(m); if (fm == 0) return(m)
  if (sign(fm) == sign(fa)) { a <- m; fa <- fm } else b <- m }; (a + b) / 2 }
# constrained maximum of the binomial likelihood: the zero of its derivative in p0
mle <- function(x1, n1, x0, n0, p1of, slope, lo, hi) {
  g <- function(p0) { p1 <- p1of(p0); slope * (ifelse(x1 == 0, 0, x1 / p1) - ifelse(x1 == n1, 0, (n1 - x1) / (1 - p1))) +
    ifelse(x0 == 0, 0, x0 / p0) - ifelse(x0 == n0, 0, (n0 - x0) / (1 - p0)) }
  e <- (hi - lo) * 1e-15
  if (g(lo + e) <= 0) return(lo); if (g(hi - e) >= 0) return(hi)
  bisect(g, lo + e, hi - e) }
score <- function(tab, value, kind) {
  w <- tab[, 2] * tab[, 4] / (tab[, 2] + tab[, 4]); w <- w / sum(w); num <- 0; v <- 0
  for (i in seq_len(nrow(tab))) { x1 <- tab[i, 1]; n1 <- tab[i, 2]; x0 <- tab[i, 3]; n0 <- tab[i, 4]; N <- n1 + n0
    if (kind == "rd") { p0 <- mle(x1, n1, x0, n0, function(p) p + value, 1, max(0, -value), min(1, 1 - value)); p1 <- p0 + value
      num <- num + w[i] * (x1 / n1 - x0 / n0 - value); s <- p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0
    } else { p0 <- mle(x1, n1, x0, n0, function(p) p * value, value, 0, min(1, 1 / value)); p1 <- p0 * value
      num <- num + w[i] * (x1 / n1 - value * x0 / n0); s <- p1 * (1 - p1) / n1 + value^2 * p0 * (1 - p0) / n0 }
    v <- v + w[i]^2 * s * N / (N - 1) }
  num / sqrt(v) }
z <- qnorm(.975)
limits <- function(tab, kind) {
  w <- tab[, 2] * tab[, 4] / (tab[, 2] + tab[, 4]); w <- w / sum(w)
  a <- sum(w * tab[, 1] / tab[, 2]); b <- sum(w * tab[, 3] / tab[, 4])
  if (kind == "rd") { est <- a - b
    lo <- if (est <= -1) -1 else bisect(function(v) score(tab, v, "rd") - z, -1 + 1e-9, est - 1e-9)
    hi <- if (est >= 1) 1 else bisect(function(v) score(tab, v, "rd") + z, est + 1e-9, 1 - 1e-9)
    p <- if (a == b & (a == 0 | a == 1)) 1 else 2 * pnorm(-abs(score(tab, 0, "rd")))
  } else { est <- a / b; if (a == 0 & b == 0) return(c(NA, NA, NA, NA))
    m <- if (est == 0) -20 else if (is.infinite(est)) 20 else log(est)
    lo <- if (est == 0) 0 else exp(bisect(function(v) score(tab, exp(v), "rr") - z, -20, m - 1e-9))
    hi <- if (is.infinite(est)) Inf else exp(bisect(function(v) score(tab, exp(v), "rr") + z, m + 1e-9, 20))
    p <- if (a == b & a == 1) 1 else 2 * pnorm(-abs(score(tab, 1, "rr"))) }
  c(est, lo, hi, p) }
# stratified Newcombe: Wilson limits per stratum (prop.test) at the quantile of Yan and Su
wilson <- function(x, n, w) { p <- x / n; v <- p * (1 - p) / n; q <- z * sqrt(sum(w^2 * v)) / sum(w * sqrt(v))
  ci <- sapply(seq_along(x), function(i) suppressWarnings(prop.test(x[i], n[i], conf.level = 1 - 2 * pnorm(-q), correct = FALSE)$conf.int)); ci %*% w }
yansu <- function(tab) { w <- tab[, 2] * tab[, 4] / (tab[, 2] + tab[, 4]); w <- w / sum(w); d <- sum(w * (tab[, 1] / tab[, 2] - tab[, 3] / tab[, 4]))
  a <- wilson(tab[, 1], tab[, 2], w); b <- wilson(tab[, 3], tab[, 4], w); k1 <- sum(w^2 / tab[, 2]); k0 <- sum(w^2 / tab[, 4])
  c(d, d - z * sqrt(k1 * a[1] * (1 - a[1]) + k0 * b[2] * (1 - b[2])), d + z * sqrt(k1 * a[2] * (1 - a[2]) + k0 * b[1] * (1 - b[1]))) }
# fisher.test stops its limits at 1e-4; the same equations, solved to the last digit
exact <- function(x1, n1, x0, n0) { k <- max(0, x1 + x0 - n0):min(n1, x1 + x0); base <- dhyper(k, n1, n0, x1 + x0, log = TRUE)
  dist <- function(lp) { d <- base + lp * k; d <- exp(d - max(d)); d / sum(d) }
  est <- if (length(k) == 1) NA else if (x1 == min(k)) 0 else if (x1 == max(k)) Inf else exp(bisect(function(lp) sum(k * dist(lp)) - x1, -20, 20))
  lo <- if (x1 == min(k)) 0 else exp(bisect(function(lp) sum(dist(lp)[k >= x1]) - .025, -20, 20))
  hi <- if (x1 == max(k)) Inf else exp(bisect(function(lp) sum(dist(lp)[k <= x1]) - .025, -20, 20))
  f <- fisher.test(rbind(c(x1, n1 - x1), c(x0, n0 - x0))); stopifnot(length(k) == 1 || abs(1 / (1 + f$conf.int[1]) - 1 / (1 + lo)) < 1e-3)
  c(est, lo, hi, f$p.value) }
rows <- NULL
add <- function(name, measure, method, v) rows <<- rbind(rows, data.frame(name = name, measure = measure, method = method,
  estimate = v[1], conf_low = v[2], conf_high = v[3], p_value = v[4]))
for (n in names(tables)) { tab <- tables[[n]]
  add(n, "risk_difference", "miettinen-nurminen", limits(tab, "rd"))
  add(n, "risk_ratio", "miettinen-nurminen", limits(tab, "rr"))
  x1 <- tab[, 1]; n1 <- tab[, 2]; x0 <- tab[, 3]; n0 <- tab[, 4]; N <- n1 + n0
  # Mantel-Haenszel difference, variance of Sato (as printed: Sato, Greenland and Robins 1989)
  W <- sum(n1 * n0 / N); rd <- sum((x1 * n0 - x0 * n1) / N) / W
  L <- sum((n1^2 * x0 - n0^2 * x1 + n1 * n0 * (n0 - n1) / 2) / N^2); M <- sum((x1 * (n0 - x0) + x0 * (n1 - x1)) / (2 * N))
  se <- sqrt((rd * L + M) / W^2); add(n, "risk_difference", "mantel-haenszel", c(rd, rd - z * se, rd + z * se, 2 * pnorm(-abs(rd / se))))
  if (min(sum(x1), sum(x0)) > 0) { r <- sum(x1 * n0 / N); s <- sum(x0 * n1 / N)
    se <- sqrt(sum((n1 * n0 * (x1 + x0) - x1 * x0 * N) / N^2) / (r * s)); add(n, "risk_ratio", "mantel-haenszel",
      c(r / s, exp(log(r / s) + c(-1, 1) * z * se), 2 * pnorm(-abs(log(r / s) / se)))) }
  arr <- array(rbind(x1, n1 - x1, x0, n0 - x0), c(2, 2, nrow(tab)))
  if (nrow(tab) > 1) { m <- mantelhaen.test(arr, correct = FALSE)
    se <- log(m$conf.int[2] / m$estimate) / z
    add(n, "odds_ratio", "mantel-haenszel", c(m$estimate, m$conf.int, 2 * pnorm(-abs(log(m$estimate) / se))))
    add(n, "cmh", "general", c(m$statistic, NA, NA, m$p.value)); add(n, "risk_difference", "newcombe", c(yansu(tab), m$p.value))
  } else { add(n, "odds_ratio", "exact", exact(x1, n1, x0, n0))
    if (n %in% c("plain", "small")) { o <- log(x1 * (n0 - x0) / (x0 * (n1 - x1))); se <- sqrt(sum(1 / arr)); add(n, "odds_ratio", "mantel-haenszel", c(exp(o), exp(o + c(-1, 1) * z * se), 2 * pnorm(-abs(o / se)))) }
    # Newcombe: Wilson limits from prop.test without continuity correction
    w1 <- suppressWarnings(prop.test(x1, n1, correct = FALSE)$conf.int); w0 <- suppressWarnings(prop.test(x0, n0, correct = FALSE)$conf.int)
    d <- x1 / n1 - x0 / n0; p1 <- x1 / n1; p0 <- x0 / n0
    p <- suppressWarnings(prop.test(c(x1, x0), c(n1, n0), correct = FALSE)$p.value)
    add(n, "risk_difference", "newcombe", c(d, d - sqrt((p1 - w1[1])^2 + (w0[2] - p0)^2), d + sqrt((w1[2] - p1)^2 + (p0 - w0[1])^2), p)) } }
write(rows, "responders.csv")

# generalised tests: stage by arm within edema; arms of three by cutting age
pbc$group <- cut(pbc$age, c(0, 45, 55, 100), labels = c("a", "b", "c"))
pbc$edema_f <- factor(pbc$edema); pbc$stage_o <- factor(pbc$stage, ordered = TRUE)
gen <- mantelhaen.test(table(pbc$group, pbc$stage, pbc$edema))
lin <- lbl_test(stage_o ~ factor(group, ordered = TRUE) | edema_f, data = pbc, scores = list(stage_o = 1:4))
row <- cmh_test(stage_o ~ group | edema_f, data = pbc, scores = list(stage_o = 1:4))
vel <- kruskal.test(pbc$stage, pbc$group)
write(data.frame(alternative = c("correlation", "row means", "general", "kruskal"),
  statistic = c(statistic(lin)^2, statistic(row), gen$statistic, vel$statistic), df = c(1, 2, gen$parameter, vel$parameter),
  p_value = c(pvalue(lin), pvalue(row), gen$p.value, vel$p.value)), "responders_cmh.csv")
