# Reference numbers that the package ships (livertrack/validation/data/reference_numbers.csv), on the
# invented trial of qualification.py.
#   Rscript tests/reference/qualification.R      needs survival, cmprsk, MASS, ordinal, coin, vcd, psych,
#   emmeans, sandwich, effectsize, pROC, metafor, vegan, mvtnorm, mice, mmrm
suppressMessages({
  library(survival); library(cmprsk); library(MASS); library(ordinal); library(coin); library(vcd); library(psych)
  library(emmeans); library(sandwich); library(effectsize); library(pROC); library(metafor); library(vegan)
  library(mvtnorm); library(mice); library(mmrm)
})
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
folder <- file.path(here, "..", "..", "livertrack", "validation", "data")
d <- read.csv(file.path(folder, "trial.csv"), na.strings = "", colClasses = c(SITEID = "character"))
d$a <- as.numeric(d$TRT01P == "Active"); d$arm <- factor(d$TRT01P, c("Placebo", "Active"))
version <- function(p) paste(p, packageVersion(p))
base <- paste0("R ", getRversion())
rows <- list()
# add(method, source, c(quantity = value, ...)): tolerance in units of the value
add <- function(method, source, values, tolerance = 1e-6) {
  stopifnot(!is.null(names(values)), !anyDuplicated(names(values)))
  rows[[length(rows) + 1]] <<- data.frame(method = method, quantity = names(values), value = as.numeric(values),
    tolerance = tolerance, source = source)
}
with_limits <- function(name, v) setNames(v, c(name, paste0(name, c(", lower limit", ", upper limit"))))
tight <- coxph.control(eps = 1e-13, iter.max = 100, toler.chol = 1e-15)
z <- qnorm(.975)

## separation ------------------------------------------------------------------------------------
x <- d$CHG[d$a == 1 & !is.na(d$CHG)]; y <- d$CHG[d$a == 0 & !is.na(d$CHG)]
noncentral <- function(t, df, p) uniroot(function(n) suppressWarnings(pt(t, df, n)) - p, t + c(-1, 1) * (10 + 3 * abs(t)), tol = 1e-13)$root
m <- length(x); n <- length(y); df <- m + n - 2; h <- sqrt(1 / m + 1 / n)
g <- hedges_g(x, y); s <- sqrt(((m - 1) * var(x) + (n - 1) * var(y)) / df); t <- (mean(x) - mean(y)) / (s * h)
j <- exp(lgamma(df / 2) - log(sqrt(df / 2)) - lgamma((df - 1) / 2))
add("lt.separation", paste(version("effectsize"), "hedges_g"), c("Hedges g" = g$Hedges_g))
add("lt.separation", paste0(base, " pt, noncentral"), c("Hedges g, lower limit" = j * h * noncentral(t, df, .975),
  "Hedges g, upper limit" = j * h * noncentral(t, df, .025)))
gl <- glass_delta(x, y); hg <- sqrt(1 / n + var(x) / (m * var(y))); tg <- (mean(x) - mean(y)) / (sd(y) * hg)
add("lt.separation", paste(version("effectsize"), "glass_delta"), c("Glass's delta" = gl$Glass_delta))
add("lt.separation", paste0(base, " pt, noncentral"), c("Glass's delta, lower limit" = hg * noncentral(tg, n - 1, .975),
  "Glass's delta, upper limit" = hg * noncentral(tg, n - 1, .025)))
cd <- suppressWarnings(cliffs_delta(x, y))
add("lt.separation", paste(version("effectsize"), "cliffs_delta"), c("Cliff's delta" = cd$r_rank_biserial,
  "Cliff's delta, null variance, lower limit" = cd$CI_low, "Cliff's delta, null variance, upper limit" = cd$CI_high))
r <- roc(controls = y, cases = x, direction = "<", quiet = TRUE); ci <- as.numeric(ci.auc(r, method = "delong"))
add("lt.separation", paste(version("pROC"), "ci.auc"), with_limits("AUC", ci[c(2, 1, 3)]))
# superiority adjusted for age within strata, written out
adjusted <- local({ k <- d[!is.na(d$CHG), ]; w <- NULL; v <- list(); V <- list()
  for (st in unique(k$STRATUM)) { A <- k[k$STRATUM == st & k$a == 1, ]; P <- k[k$STRATUM == st & k$a == 0, ]
    win <- (sign(outer(A$CHG, P$CHG, "-")) + 1) / 2; mm <- nrow(A); q <- nrow(P)
    w <- c(w, mm * q / (mm + q)); v[[length(v) + 1]] <- c(mean(win), mean(A$AGE) - mean(P$AGE))
    V[[length(V) + 1]] <- var(cbind(rowMeans(win), A$AGE)) / mm + var(cbind(colMeans(win), -P$AGE)) / q }
  w <- w / sum(w); v <- Reduce(`+`, Map(`*`, w, v)); V <- Reduce(`+`, Map(`*`, w^2, V)); b <- V[1, 2] / V[2, 2]
  p <- v[1] - b * v[2]; se <- sqrt(V[1, 1] - b * V[1, 2]); c(p, plogis(qlogis(p) + c(-1, 1) * z * se / (p * (1 - p)))) })
add("lt.separation", paste(base, "written out"), with_limits("Adjusted superiority", adjusted))

## comparing measures ----------------------------------------------------------------------------
k <- d[!is.na(d$CHG) & !is.na(d$ALT), ]
make <- function(v) roc(k$a == 1, k[[v]], direction = ">", quiet = TRUE, levels = c(FALSE, TRUE))
t <- roc.test(make("CHG"), make("ALT"), paired = TRUE, method = "delong")
add("lt.compare_separation", paste(version("pROC"), "roc.test"), c("AUC of the change" = as.numeric(t$estimate[1]),
  "AUC of ALT" = as.numeric(t$estimate[2]), "Difference, lower limit" = t$conf.int[1],
  "Difference, upper limit" = t$conf.int[2], "p of the difference" = t$p.value))

## models ----------------------------------------------------------------------------------------
fit <- lm(CHG ~ BASE + STRATUM + arm, d); e <- summary(emmeans(fit, ~arm, weights = "equal"))
ct <- summary(contrast(emmeans(fit, ~arm), "revpairwise"), infer = TRUE); hc <- vcovHC(fit, "HC3")
add("lt.ancova", paste(version("emmeans"), "emmeans"), c("LS mean, Active" = e$emmean[2], "LS mean, Placebo" = e$emmean[1],
  "Standard error of the LS mean, Active" = e$SE[2]))
add("lt.ancova", paste(version("emmeans"), "contrast"), c("Difference" = ct$estimate, "Standard error" = ct$SE,
  "Degrees of freedom" = ct$df, "Difference, lower limit" = ct$lower.CL, "Difference, upper limit" = ct$upper.CL, "p" = ct$p.value))
add("lt.ancova", paste(version("sandwich"), "vcovHC"), c("Standard error, HC3" = sqrt(hc["armActive", "armActive"])))
long <- reshape(d[, c("USUBJID", "arm", "BASE", "CHG12", "CHG24", "CHG48")], direction = "long", idvar = "USUBJID",
  varying = c("CHG12", "CHG24", "CHG48"), v.names = "CHG", timevar = "AVISIT", times = c("Week 12", "Week 24", "Week 48"))
long$AVISIT <- factor(long$AVISIT); long$USUBJID <- factor(long$USUBJID)
for (case in list(list("us", "Kenward-Roger", "Kenward-Roger"), list("us", "Satterthwaite", "Satterthwaite"),
    list("cs", "Satterthwaite", "Satterthwaite"), list("ar1h", "Satterthwaite", "Satterthwaite"), list("toep", "Satterthwaite", "Satterthwaite"))) {
  f <- as.formula(sprintf("CHG ~ BASE * AVISIT + arm * AVISIT + %s(AVISIT | USUBJID)", case[[1]]))
  fit <- mmrm(f, long, control = mmrm_control(method = case[[2]],
    # as SAS: the adjustment of Kenward and Roger with the elements of the covariance as parameters
    vcov = if (case[[2]] == "Kenward-Roger") "Kenward-Roger-Linear", optimizer = "BFGS",
    optimizer_control = list(reltol = 1e-15, maxit = 1000)))
  co <- summary(contrast(emmeans(fit, ~ arm | AVISIT), "revpairwise"))[3, ]
  name <- function(w) paste0(w, ", ", case[[1]], ", ", case[[3]])
  values <- setNames(c(co$SE, co$df), c(name("Standard error at week 48"), name("Degrees of freedom")))
  add("lt.mmrm", paste0(version("mmrm"), if (case[[2]] == "Kenward-Roger") ", Kenward-Roger-Linear"), values, 1e-5)
  if (case[[2]] == "Satterthwaite") add("lt.mmrm", version("mmrm"), setNames(c(co$estimate, -2 * logLik(fit)),
    c(paste0("Difference at week 48, ", case[[1]]), paste0("-2 REML log-likelihood, ", case[[1]]))), 1e-5)
}
pw <- power.t.test(n = 30, delta = 0.8, sd = 1.1, strict = TRUE)
add("lt.power", paste(base, "power.t.test"), c("Power, 30 v 30, 0.8 with SD 1.1" = pw$power))
nn <- power.t.test(power = 0.9, delta = 0.8, sd = 1.1, strict = TRUE)$n
add("lt.power", paste(base, "power.t.test"), c("Subjects per arm for 90 %" = ceiling(nn)))
t <- t.test(d$CHG[d$a == 1])
add("lt.signature_summary", paste(base, "t.test"), with_limits("Mean", c(t$estimate, t$conf.int)))
ps <- pool.scalar(Q = c(1.2, 0.9, 1.5, 1.1, 1.3), U = c(.04, .05, .045, .05, .04), n = 61, k = 3)
add("lt.impute", paste(version("mice"), "pool.scalar"), c("Pooled estimate" = ps$qbar, "Pooled standard error" = sqrt(ps$t), "Degrees of freedom" = ps$df))
i1 <- lm(CHG ~ a * STRATUM, d); i0 <- lm(CHG ~ a + STRATUM, d); av <- anova(i0, i1)
part <- confint(lm(CHG ~ a, d[d$STRATUM == "diabetes", ]))[2, ]
c1 <- coxph(Surv(TIME, CNSR == 0) ~ a * STRATUM, d, control = tight); c0 <- coxph(Surv(TIME, CNSR == 0) ~ a + STRATUM, d, control = tight)
lr <- 2 * (c1$loglik[2] - c0$loglik[2])
add("lt.subgroup_forest", paste(base, "lm, anova"), c("F of the interaction" = av$F[2], "p of the interaction" = av$`Pr(>F)`[2],
  "Difference with diabetes, lower limit" = part[[1]], "Difference with diabetes, upper limit" = part[[2]]))
add("lt.subgroup_forest", paste(version("survival"), "coxph"), c("Likelihood ratio of the interaction, hazard" = lr,
  "p of the interaction, hazard" = pchisq(lr, 1, lower.tail = FALSE)))

## responders ------------------------------------------------------------------------------------
cells <- function(k) c(sum(k$RESPONSE[k$a == 1]), sum(k$a == 1), sum(k$RESPONSE[k$a == 0]), sum(k$a == 0))
tab <- rbind(cells(d)); by <- t(sapply(split(d, d$STRATUM), cells))
bisect <- function(f, a, b) { fa <- f(a); for (i in 1:200) { mm <- (a + b) / 2; fm <- f(mm); if (fm == 0) return(mm)
  if (sign(fm) == sign(fa)) { a <- mm; fa <- fm } else b <- mm }; (a + b) / 2 }
# constrained likelihood maximised numerically, not by the formula that the package solves
score <- function(tab, value, ratio) { w <- tab[, 2] * tab[, 4] / (tab[, 2] + tab[, 4]); w <- w / sum(w); num <- 0; v <- 0
  for (i in seq_len(nrow(tab))) { x1 <- tab[i, 1]; n1 <- tab[i, 2]; x0 <- tab[i, 3]; n0 <- tab[i, 4]; N <- n1 + n0
    of <- if (ratio) function(p) p * value else function(p) p + value; slope <- if (ratio) value else 1
    lo <- if (ratio) 0 else max(0, -value); hi <- if (ratio) min(1, 1 / value) else min(1, 1 - value)
    gr <- function(p0) { p1 <- of(p0); slope * (x1 / p1 - (n1 - x1) / (1 - p1)) + x0 / p0 - (n0 - x0) / (1 - p0) }
    eps <- (hi - lo) * 1e-15; p0 <- bisect(gr, lo + eps, hi - eps); p1 <- of(p0); k <- if (ratio) value else 1
    num <- num + w[i] * (x1 / n1 - if (ratio) value * x0 / n0 else x0 / n0 + value)
    v <- v + w[i]^2 * (p1 * (1 - p1) / n1 + k^2 * p0 * (1 - p0) / n0) * N / (N - 1) }
  num / sqrt(v) }
mn <- function(tab) { w <- tab[, 2] * tab[, 4] / (tab[, 2] + tab[, 4]); w <- w / sum(w); e <- sum(w * (tab[, 1] / tab[, 2] - tab[, 3] / tab[, 4]))
  c(e, bisect(function(v) score(tab, v, FALSE) - z, -1 + 1e-9, e - 1e-9), bisect(function(v) score(tab, v, FALSE) + z, e + 1e-9, 1 - 1e-9)) }
rd <- mn(tab)
add("lt.risk_difference", paste(base, "constrained likelihood by bisection"), c(with_limits("Difference, Miettinen-Nurminen", rd),
  "p, Miettinen-Nurminen" = 2 * pnorm(-abs(score(tab, 0, FALSE)))))
add("lt.risk_difference", paste(base, "constrained likelihood by bisection"), with_limits("Difference over strata, Miettinen-Nurminen", mn(by)))
add("lt.risk_difference", paste(base, "from the limits above"), c("Number needed to treat" = 1 / rd[1], "Number needed to treat, lower limit" = 1 / rd[3]))
w1 <- suppressWarnings(prop.test(tab[1], tab[2], correct = FALSE)$conf.int); w0 <- suppressWarnings(prop.test(tab[3], tab[4], correct = FALSE)$conf.int)
p1 <- tab[1] / tab[2]; p0 <- tab[3] / tab[4]
add("lt.risk_difference", paste(base, "prop.test, Wilson limits"), c("Difference, Newcombe, lower limit" = p1 - p0 - sqrt((p1 - w1[1])^2 + (w0[2] - p0)^2),
  "Difference, Newcombe, upper limit" = p1 - p0 + sqrt((w1[2] - p1)^2 + (p0 - w0[1])^2)))
mh <- function(measure) rma.mh(ai = by[, 1], n1i = by[, 2], ci = by[, 3], n2i = by[, 4], measure = measure, correct = FALSE)
r <- mh("RD"); add("lt.risk_difference", paste(version("metafor"), "rma.mh"), with_limits("Difference over strata, Mantel-Haenszel", c(r$b, r$ci.lb, r$ci.ub)))
r <- mh("RR"); add("lt.risk_ratio", paste(version("metafor"), "rma.mh"), with_limits("Ratio over strata, Mantel-Haenszel", exp(c(r$b, r$ci.lb, r$ci.ub))))
est <- p1 / p0
add("lt.risk_ratio", paste(base, "constrained likelihood by bisection"), c("Ratio" = est,
  "Ratio, Miettinen-Nurminen, lower limit" = exp(bisect(function(v) score(tab, exp(v), TRUE) - z, -10, log(est) - 1e-9)),
  "Ratio, Miettinen-Nurminen, upper limit" = exp(bisect(function(v) score(tab, exp(v), TRUE) + z, log(est) + 1e-9, 10))))
arr <- array(rbind(by[, 1], by[, 2] - by[, 1], by[, 3], by[, 4] - by[, 3]), c(2, 2, nrow(by))); mt <- mantelhaen.test(arr, correct = FALSE)
add("lt.odds_ratio", paste(base, "mantelhaen.test"), with_limits("Odds ratio over strata, Mantel-Haenszel", c(mt$estimate, mt$conf.int)))
f <- fisher.test(matrix(c(tab[1], tab[2] - tab[1], tab[3], tab[4] - tab[3]), 2), conf.level = .95)
# fisher.test stops at 1e-4: solve its equations to the last digit
kk <- max(0, tab[1] + tab[3] - tab[4]):min(tab[2], tab[1] + tab[3]); lg <- dhyper(kk, tab[2], tab[4], tab[1] + tab[3], log = TRUE)
dist <- function(lp) { v <- lg + lp * kk; v <- exp(v - max(v)); v / sum(v) }
add("lt.odds_ratio", paste(base, "conditional likelihood, as fisher.test"), with_limits("Odds ratio, exact", exp(c(
  bisect(function(l) sum(kk * dist(l)) - tab[1], -20, 20), bisect(function(l) sum(dist(l)[kk >= tab[1]]) - .025, -20, 20),
  bisect(function(l) sum(dist(l)[kk <= tab[1]]) - .025, -20, 20)))))
add("lt.odds_ratio", paste(base, "fisher.test"), c("p, exact" = f$p.value))
add("lt.cmh_test", paste(base, "mantelhaen.test"), c("Chi-square, response by arm in strata" = mt$statistic[[1]], "p, response by arm in strata" = mt$p.value))
gen <- mantelhaen.test(table(d$TRT01P, d$STAGE1, d$STRATUM))
d$st <- factor(d$STAGE1, ordered = TRUE); d$sf <- factor(d$STRATUM)
rowm <- cmh_test(st ~ arm | sf, data = d, scores = list(st = sort(unique(d$STAGE1))))
add("lt.cmh_test", paste(base, "mantelhaen.test"), c("Chi-square, stage, general" = gen$statistic[[1]], "p, stage, general" = gen$p.value))
add("lt.cmh_test", paste(version("coin"), "cmh_test"), c("Chi-square, stage, row means" = statistic(rowm)[[1]]^2, "p, stage, row means" = pvalue(rowm)[[1]]))
mod <- glm(RESPONSE ~ a + BASE + STRATUM, binomial(), d, control = glm.control(epsilon = 1e-14))
q1 <- predict(mod, transform(d, a = 1), "response"); q0 <- predict(mod, transform(d, a = 0), "response"); nn <- nrow(d)
u1 <- d$a / mean(d$a) * (d$RESPONSE - q1) + q1 - mean(q1); u0 <- (1 - d$a) / mean(1 - d$a) * (d$RESPONSE - q0) + q0 - mean(q0)
add("lt.g_computation", paste(base, "glm, influence functions"), c("Marginal risk difference" = mean(q1) - mean(q0),
  "Standard error, risk difference" = sqrt(sum((u1 - u0)^2)) / nn, "Marginal risk ratio" = mean(q1) / mean(q0)))

## events ----------------------------------------------------------------------------------------
sf <- survfit(Surv(TIME, CNSR == 0) ~ TRT01P, d, conf.type = "log-log"); at <- summary(sf, times = c(6, 18)); md <- summary(sf)$table
add("lt.kaplan_meier", paste(version("survival"), "survfit"), c("Survival at 6, Active" = at$surv[1], "Survival at 6, Active, lower limit" = at$lower[1],
  "Survival at 6, Active, upper limit" = at$upper[1], "Survival at 18, Placebo" = at$surv[4], "Median, Placebo" = md[2, "median"],
  "Median, Placebo, lower limit" = md[2, "0.95LCL"]))
lg1 <- survdiff(Surv(TIME, CNSR == 0) ~ a, d); lg2 <- survdiff(Surv(TIME, CNSR == 0) ~ a + strata(STRATUM), d)
add("lt.log_rank", paste(version("survival"), "survdiff"), c("Chi-square" = lg1$chisq, "Chi-square in strata" = lg2$chisq))
for (ties in c("efron", "breslow")) { cf <- coxph(Surv(TIME, CNSR == 0) ~ a + AGE, d, ties = ties, control = tight)
  add("lt.cox", paste(version("survival"), "coxph"), setNames(c(coef(cf)[1], sqrt(diag(vcov(cf)))[1], cf$loglik[2]),
    paste0(c("Log hazard ratio, ", "Standard error, ", "Log partial likelihood, "), ties))) }
zp <- cox.zph(coxph(Surv(TIME, CNSR == 0) ~ a + AGE, d, control = tight))$table
add("lt.cox", paste(version("survival"), "cox.zph"), c("Proportional hazards, arm" = zp["a", "chisq"], "Proportional hazards, global" = zp["GLOBAL", "chisq"]))
rm <- summary(survfit(Surv(TIME, CNSR == 0) ~ TRT01P, d), rmean = 24)$table; rme <- rm[, grep("^.?rmean", colnames(rm))]; rs <- rm[, "se(rmean)"]
add("lt.rmst", paste(version("survival"), "survfit"), c("Restricted mean to 24, Active" = rme[[1]], "Standard error, Active" = rs[[1]],
  "Restricted mean to 24, Placebo" = rme[[2]], "Difference" = rme[[1]] - rme[[2]], "Standard error of the difference" = sqrt(sum(rs^2))))
kind <- ifelse(d$CNSR == 1, 0, ifelse(d$CAUSE == "progression", 1, 2))
ci <- cuminc(d$TIME, kind, d$TRT01P); tp <- timepoints(ci, 18); cis <- cuminc(d$TIME, kind, d$TRT01P, strata = d$STRATUM)
add("lt.cumulative_incidence", paste(version("cmprsk"), "cuminc"), c("Progression by 18, Active" = tp$est["Active 1", 1],
  "Standard error, progression by 18, Active" = sqrt(tp$var["Active 1", 1]), "Transplant by 18, Placebo" = tp$est["Placebo 2", 1],
  "Gray's test, progression" = ci$Tests[1, 1], "Gray's test, transplant" = ci$Tests[2, 1], "Gray's test in strata, progression" = cis$Tests[1, 1]))
fg <- crr(d$TIME, kind, cbind(a = d$a, AGE = d$AGE), failcode = 1, cencode = 0, gtol = 1e-12, maxiter = 100)
add("lt.fine_gray", paste(version("cmprsk"), "crr"), c("Log subdistribution hazard ratio" = fg$coef[[1]], "Standard error" = sqrt(fg$var[1, 1])), 1e-5)
e <- read.csv(file.path(folder, "recurrences.csv")); e <- e[order(e$USUBJID, e$AVAL), ]; e$a <- as.numeric(e$TRT01P == "Active")
e$start <- ave(e$AVAL, e$USUBJID, FUN = function(v) c(0, v[-length(v)])); ag <- coxph(Surv(start, AVAL, CNSR == 0) ~ a, e, cluster = e$USUBJID, control = tight)
add("lt.recurrent_events", paste(version("survival"), "coxph, cluster"), c("Log rate ratio, Andersen-Gill" = coef(ag)[[1]], "Standard error, Andersen-Gill" = sqrt(vcov(ag)[1, 1])))
per <- data.frame(a = tapply(e$a, e$USUBJID, max), y = tapply(e$CNSR == 0, e$USUBJID, sum), t = tapply(e$AVAL, e$USUBJID, max))
nb <- glm.nb(y ~ a + offset(log(t)), per, control = glm.control(epsilon = 1e-13, maxit = 200))
add("lt.recurrent_events", paste(version("MASS"), "glm.nb"), c("Log rate ratio, negative binomial" = coef(nb)[[2]], "Dispersion" = 1 / nb$theta), 1e-5)
# wins: first the event (later is better), then the change (lower is better)
A <- d[d$a == 1, ]; B <- d[d$a == 0, ]
won <- function(p, q) { if (p$TIME > q$TIME && q$CNSR == 0) return(1); if (q$TIME > p$TIME && p$CNSR == 0) return(-1)
  if (p$TIME == q$TIME && p$CNSR != q$CNSR) return(if (q$CNSR == 0) 1 else -1)
  if (is.na(p$CHG) || is.na(q$CHG)) 0 else sign(q$CHG - p$CHG) }
W <- matrix(0, nrow(A), nrow(B)); for (i in seq_len(nrow(A))) for (jj in seq_len(nrow(B))) W[i, jj] <- won(A[i, ], B[jj, ])
win <- mean(W == 1); loss <- mean(W == -1); uu <- (W == 1) / win - (W == -1) / loss
se <- sqrt(var(rowMeans(uu)) / nrow(A) + var(colMeans(uu)) / nrow(B))
add("lt.win_ratio", paste(base, "loop over pairs"), c("Win ratio" = win / loss, "Standard error of its logarithm" = se,
  "Net benefit" = win - loss, "Win odds" = (win + (1 - win - loss) / 2) / (loss + (1 - win - loss) / 2)))

## ordinal ---------------------------------------------------------------------------------------
cm <- clm(factor(STAGE1, ordered = TRUE) ~ a + AGE, data = d, control = clm.control(gradTol = 1e-12)); co <- summary(cm)$coefficients
add("lt.proportional_odds", paste(version("ordinal"), "clm"), c("Log odds ratio, arm" = co["a", 1], "Standard error" = co["a", 2],
  "First cut point" = co[1, 1], "Log-likelihood" = cm$logLik))
lev <- sort(unique(c(d$STAGE0, d$STAGE1))); tb <- table(factor(d$STAGE0[d$a == 1], lev), factor(d$STAGE1[d$a == 1], lev))
sm <- mh_test(as.table(tb)); bk <- suppressWarnings(mcnemar.test(tb, correct = FALSE))
uo <- tb[upper.tri(tb)]; lo <- t(tb)[upper.tri(tb)]; sel <- uo + lo > 0; bowker <- sum((uo - lo)[sel]^2 / (uo + lo)[sel])
stopifnot(is.nan(bk$statistic) || abs(bk$statistic - bowker) < 1e-10)
add("lt.shift_table", paste(version("coin"), "mh_test"), c("Stuart-Maxwell, Active" = statistic(sm)[[1]]))
add("lt.shift_table", paste(base, "mcnemar.test"), c("Bowker, Active" = bowker))
ka <- table(factor(d$STAGE0, lev), factor(d$STAGE1, lev))
kp <- function(w) if (w == "none") Kappa(ka)$Unweighted else Kappa(ka, weights = w)$Weighted
for (w in list(c("none", "no weights"), c("Equal-Spacing", "linear"), c("Fleiss-Cohen", "quadratic"))) { v <- kp(w[1])
  add("lt.weighted_kappa", paste(version("vcd"), "Kappa"), setNames(v[1:2], paste0(c("Kappa, ", "Standard error, "), w[2]))) }

## agreement -------------------------------------------------------------------------------------
ic <- ICC(as.matrix(d[, c("RATER1", "RATER2", "RATER3")]), lmer = FALSE)$results
for (i in 1:6) add("lt.icc", paste(version("psych"), "ICC"), with_limits(ic$type[i], c(ic$ICC[i], ic$`lower bound`[i], ic$`upper bound`[i])))
df_ <- d$RATER1 - d$RATER2; nn <- length(df_); s <- sd(df_); t <- t.test(df_)
nct <- function(q, df, ncp) { l <- sqrt(qchisq(c(1e-16, .5, 1 - 1e-16), df) / df); f <- function(s) pnorm(q * s - ncp) * dchisq(s^2 * df, df) * 2 * s * df
  integrate(f, l[1], l[2], rel.tol = 1e-12)$value + integrate(f, l[2], l[3], rel.tol = 1e-12)$value }
root <- function(p, ncp) uniroot(function(q) nct(q, nn - 1, ncp) - p, c(ncp - 10, ncp + 10), tol = 1e-13)$root
near <- root(.025, z * sqrt(nn)) * s / sqrt(nn); far <- root(.975, z * sqrt(nn)) * s / sqrt(nn)
add("lt.bland_altman", paste(base, "t.test"), with_limits("Bias", c(t$estimate, t$conf.int)))
add("lt.bland_altman", paste(base, "noncentral t by integration"), with_limits("Upper limit of agreement", mean(df_) + c(z * s, near, far)))
ln <- data.frame(id = rep(d$USUBJID, 3), v = unlist(d[, c("RATER1", "RATER2", "RATER3")])); av <- aov(v ~ factor(id), ln); ddf <- df.residual(av); sw <- sqrt(sum(resid(av)^2) / ddf)
lim <- sqrt(ddf / qchisq(c(.975, .025), ddf)); per <- aggregate(v ~ id, ln, function(v) var(v) / mean(v)^2)$v; cv <- sqrt(mean(per))
add("lt.repeatability", paste(base, "aov"), c(with_limits("Within-subject SD", c(sw, sw * lim)), "Repeatability coefficient" = z * sqrt(2) * sw,
  "Smallest real change" = z * sqrt(2) * sw * sqrt(ddf / qchisq(.05, ddf)), "Within-subject CV" = cv))

## compositions ----------------------------------------------------------------------------------
X <- as.matrix(d[, paste0("TV0", 1:5)]); lr <- as.matrix(decostand(X, "clr")); D <- vegdist(X, "aitchison")
ad <- adonis2(D ~ arm, data = d, permutations = 0); ab <- adonis2(vegdist(X, "bray") ~ arm, data = d, permutations = 0)
add("lt.clr", paste(version("vegan"), "decostand"), c("TV03 of the first subject" = lr[[1, 3]], "TV05 of the last subject" = lr[[nrow(X), 5]]))
add("lt.aitchison_distance", paste(version("vegan"), "vegdist"), c("First to second subject" = as.matrix(D)[1, 2], "First to last subject" = as.matrix(D)[1, nrow(X)]))
add("lt.permanova", paste(version("vegan"), "adonis2"), c("Pseudo F, Aitchison" = ad$F[1], "R squared, Aitchison" = ad$R2[1], "Pseudo F, Bray-Curtis" = ab$F[1]))
bd <- betadisper(D, d$TRT01P, type = "centroid"); add("lt.permanova", paste(version("vegan"), "betadisper"), c("F of the dispersion" = anova(bd)$F[1]))
l3 <- lm(lr[, 3] ~ a + AGE, d); V <- contr.helmert(5); V <- sweep(V, 2, sqrt(colSums(V^2)), "/"); Y <- lr %*% V
jt <- anova(lm(Y ~ AGE + a, d), lm(Y ~ AGE, d), test = "Pillai")
add("lt.composition_regression", paste(base, "lm"), with_limits("Difference of TV03", c(coef(l3)[["a"]], confint(l3)["a", ])))
add("lt.composition_regression", paste(base, "anova, Pillai"), c("F of all parts" = jt$`approx F`[2], "p of all parts" = jt$`Pr(>F)`[2]))

## multiplicity ----------------------------------------------------------------------------------
p <- c(.0011, .0123, .0245, .0311, .21, .48)
for (w in c("bonferroni", "holm", "hochberg", "hommel", "BH", "BY")) add("lt.adjust_pvalues", paste(base, "p.adjust"),
  setNames(p.adjust(p, w)[c(2, 4)], paste0(w, c(", second p", ", fourth p"))), 1e-12)
bounds <- function(tt, a, sides) { cum <- sides * 2 * pnorm(qnorm(a / sides / 2) / sqrt(tt)); b <- NULL
  cum <- sides * (2 - 2 * pnorm(qnorm(1 - a / sides / 2) / sqrt(tt)))
  for (k in seq_along(tt)) { R <- outer(tt[1:k], tt[1:k], function(u, v) sqrt(pmin(u, v) / pmax(u, v)))
    inside <- function(c) { bb <- c(b, c); if (k == 1) (if (sides == 1) pnorm(c) else 2 * pnorm(c) - 1) else
      pmvnorm(lower = if (sides == 1) rep(-Inf, k) else -bb, upper = bb, corr = R, algorithm = Miwa(steps = 4096))[1] }
    b <- c(b, uniroot(function(c) 1 - inside(c) - cum[k], c(0, 8), tol = 1e-10)$root) }; b }
b1 <- bounds(c(.4, .7, 1), .025, 1)
add("lt.group_sequential", paste(version("mvtnorm"), "pmvnorm"), setNames(b1, paste("O'Brien-Fleming, one-sided, look", 1:3)))
# max-T over the six flows off the diagonal, and change pathways: every relabelling of twelve subjects
fl <- read.csv(file.path(folder, "flows.csv")); F <- sapply(split(fl, paste(fl$FROMTYPE, fl$TOTYPE)), function(g) g$AVAL[order(g$USUBJID)])
ar <- tapply(fl$TRT01P, fl$USUBJID, `[`, 1) == "Active"; off <- colnames(F)[sapply(strsplit(colnames(F), " "), function(v) v[1] != v[2])]; F <- F[, off]
welch <- function(is) apply(F, 2, function(v) (mean(v[is]) - mean(v[!is])) / sqrt(var(v[is]) / sum(is) + var(v[!is]) / sum(!is)))
ob <- welch(ar); all <- combn(length(ar), sum(ar), function(i) abs(welch(seq_along(ar) %in% i)))
raw <- rowMeans(all >= abs(ob) - 1e-9); ord <- order(-abs(ob)); adj <- numeric(length(ob))
for (i in seq_along(ord)) adj[ord[i]] <- mean(apply(all[ord[i:length(ord)], , drop = FALSE], 2, max) >= abs(ob[ord[i]]) - 1e-9)
adj[ord] <- cummax(adj[ord]); names(adj) <- names(raw) <- names(ob)
for (method in c("lt.max_t", "lt.change_pathways")) add(method, paste(base, "all 924 relabellings"),
  c("Welch t, 1 to 2" = ob[["1 2"]], "p, 1 to 2" = raw[["1 2"]], "Adjusted p, 1 to 2" = adj[["1 2"]], "Adjusted p, 2 to 3" = adj[["2 3"]]))

out <- do.call(rbind, rows)
out$value <- trimws(formatC(out$value, digits = 15, format = "g")); out$tolerance <- formatC(out$tolerance, format = "g")
write.csv(out, file.path(folder, "reference_numbers.csv"), row.names = FALSE, quote = c(1, 2, 5))
