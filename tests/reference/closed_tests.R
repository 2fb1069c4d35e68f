# Reference numbers for tests/endpoints/test_closed_tests.py.
# Usage: Rscript closed_tests.R [data folder]; needs multcomp, mvtnorm, multxpert 0.1.1 (not in Debian;
# its adjusted p-values come with four decimals).
suppressMessages({library(multxpert); library(multcomp); library(mvtnorm)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)

# gatekeeping: two and three families
gate <- function(name, ps, procs, pars) {
  f <- Map(function(p, k, g, i) list(label = paste0("family ", i), rawp = p, proc = k, procpar = g), ps, procs, pars, seq_along(ps))
  r <- pargateadjp(f, TRUE)
  data.frame(case = name, hypothesis = seq_len(nrow(r)), family = r$Family, p = r$Raw.pvalue, adjusted = r$Adj.pvalue) }
a <- list(c(0.0082, 0.0174), c(0.0042, 0.0180)); b <- list(c(0.004, 0.012, 0.2), c(0.03, 0.001, 0.018), c(0.0005, 0.04))
g <- rbind(gate("published", a, c("Holm", "Holm"), c(0.5, 1)), gate("bonferroni", a, c("Bonferroni", "Holm"), c(0, 1)),
  gate("hochberg", a, c("Hochberg", "Hochberg"), c(0.8, 1)), gate("three_holm", b, c("Holm", "Holm", "Holm"), c(0.5, 0.9, 1)),
  gate("three_mixed", b, c("Holm", "Hochberg", "Hochberg"), c(0.25, 0.5, 1)),
  gate("three_bonferroni", b, c("Bonferroni", "Bonferroni", "Holm"), c(0, 0, 1)))
write(g, "closed_tests_gate.csv")

# weighted Holm, one-sided limits that agree with Bonferroni, Holm and a fixed sequence
p <- c(0.011, 0.004, 0.02, 0.3); w <- c(0.4, 0.3, 0.2, 0.1)
write(data.frame(p = p, weight = w, holm = pvaladjp(p, w, proc = "Holm")[, "Holm.adj.pvalue"]), "closed_tests_holm.csv")
lim <- function(name, est, se, w, k) { r <- pvalci(1 - pnorm(est / se), est, se, w, 0.975, c("Bonferroni", "Holm", "Fixed-sequence"))
  data.frame(case = name, est = est, se = se, weight = w, bonferroni = r$Bonferroni.conf.limit, holm = r$Holm.conf.limit, fixed = r$Fixed.sequence.conf.limit) }
write(rbind(lim("some", c(2.3, 2.5, 1.9), c(1, 1, 1), c(1, 1, 1) / 3), lim("all", c(3.3, 3.5, 2.9), c(1, 0.9, 1.1), c(1, 1, 1) / 3),
  lim("weighted", c(2.6, 1.2, 2.9), c(1, 0.9, 1.1), c(0.5, 0.3, 0.2))), "closed_tests_limits.csv")

# Dunnett with covariates: log ALT under four doses; log bilirubin by stage (unbalanced)
# P(largest |t| <= c): Genz's trivariate normal for every orthant, integrated over the chi density of the common variance
orthants <- function(c, R, two) { m <- nrow(R); if (m == 1) return(pnorm(c) - (if (two) pnorm(-c) else 0))
  below <- function(u) pmvnorm(upper = u, corr = R, algorithm = TVPACK(abseps = 1e-14))[1]
  if (!two) return(below(rep(c, m)))
  signs <- as.matrix(expand.grid(rep(list(c(1, -1)), m)))
  sum(apply(signs, 1, function(g) prod(g) * below(g * c))) }
inside <- function(c, R, df, two) {
  f <- function(s) sapply(s, function(v) orthants(c * v, R, two) * dchisq(v^2 * df, df) * 2 * v * df)
  b <- sqrt(qchisq(c(1e-13, .5, 1 - 1e-13), df) / df)
  integrate(f, b[1], b[2], rel.tol = 1e-9)$value + integrate(f, b[2], b[3], rel.tol = 1e-9)$value }
many <- function(name, fit, arm, alt) {
  two <- alt == "two.sided"; h <- do.call(glht, list(fit, linfct = do.call(mcp, setNames(list("Dunnett"), arm)), alternative = alt))
  v <- vcov(h); R <- cov2cor(v); est <- coef(h); se <- sqrt(diag(v)); t <- est / se; df <- df.residual(fit)
  dir <- if (two) abs(t) else if (alt == "greater") t else -t
  q <- uniroot(function(c) inside(c, R, df, two) - .95, c(1, 4), tol = 1e-9)$root
  single <- sapply(dir, function(x) 1 - inside(x, R, df, two))
  o <- order(-dir); down <- numeric(length(dir)); top <- 0
  for (i in seq_along(o)) { left <- o[i:length(o)]
    pv <- if (length(left) == 1) (if (two) 2 else 1) * pt(-dir[left], df) else 1 - inside(dir[o[i]], R[left, left], df, two)
    top <- max(top, pv); down[o[i]] <- top }
  genz <- summary(h, test = adjusted("single-step", abseps = 1e-6, maxpts = 1e6))$test$pvalues
  data.frame(case = name, estimate = est, std_error = se, df = df, p_adjusted = single, p_step_down = down, critical = q, glht = as.numeric(genz)) }
tx <- read.csv(file.path(data, "tab_liver_other_trials", "texmex_liver.csv")); tx$dose <- factor(tx$dose)
pb <- read.csv(file.path(data, "tab_r_survival_liver", "pbc.csv")); pb <- pb[!is.na(pb$stage), ]; pb$stage <- factor(pb$stage)
few <- pb[pb$id %% 12 == 0, ]
set.seed(2)
write(rbind(many("alt", lm(log(ALT.M) ~ log(ALT.B) + dose, tx), "dose", "two.sided"),
  many("alt_greater", lm(log(ALT.M) ~ log(ALT.B) + dose, tx), "dose", "greater"),
  many("alt_crude", lm(log(ALT.M) ~ dose, tx), "dose", "less"),
  many("bili", lm(log(bili) ~ age + stage, pb), "stage", "two.sided"),
  many("few", lm(log(bili) ~ age + stage, few), "stage", "two.sided")), "closed_tests_dunnett.csv")
