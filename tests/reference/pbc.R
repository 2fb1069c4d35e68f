# Reference numbers of analysis/pbc, derived here from the raw files independently of the package.
#   Rscript tests/reference/pbc.R [DATA_FOLDER]     (else LIVERTRACK_DATA; holds tab_r_survival_liver)
# R 4.2.2, survival 3.5-3, emmeans 1.8.4-1, nlme 3.1-162.
suppressPackageStartupMessages({
  library(survival)
  library(emmeans)
  library(nlme)
})
arguments <- commandArgs(trailingOnly = TRUE)
root <- if (length(arguments)) arguments[1] else Sys.getenv("LIVERTRACK_DATA", "../shared/data")
data <- file.path(root, "tab_r_survival_liver")
script <- sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)[1])
out <- dirname(normalizePath(script))
save <- function(frame, name) {
  write.csv(format(frame, digits = 15, trim = TRUE), file.path(out, paste0("pbc_", name, ".csv")),
            row.names = FALSE, quote = FALSE)
}

pbc <- read.csv(file.path(data, "pbc.csv"))
pbc <- pbc[!is.na(pbc$trt), ]
seq <- read.csv(file.path(data, "pbcseq.csv"))
seq$logbili <- log(seq$bili)
pbc$arm <- factor(ifelse(pbc$trt == 1, "D-penicillamine", "Placebo"), c("Placebo", "D-penicillamine"))

# visit windows: nearest non-missing measurement to the target day, the earlier of two
windows <- data.frame(visit = c("Baseline", "Month 6", "Year 1", "Year 2"),
                      low = c(0, 92, 274, 548), high = c(0, 273, 547, 912), target = c(0, 182, 365, 730))
measures <- c(BILI = "bili", ALB = "albumin", ALP = "alk.phos", AST = "ast", PLAT = "platelet",
              PT = "protime", CHOL = "chol", LOGBILI = "logbili", STAGE = "stage")
pick <- function(id, code, w) {
  d <- seq[seq$id == id & seq$day >= w$low & seq$day <= w$high, ]
  d <- d[!is.na(d[[measures[[code]]]]), ]
  if (nrow(d) == 0) return(NA_real_)
  gap <- abs(d$day - w$target)
  d <- d[gap == min(gap), ]
  d[[measures[[code]]]][which.min(d$day)]
}
long <- do.call(rbind, lapply(names(measures), function(code) {
  wide <- sapply(seq_len(nrow(windows)), function(k) {
    sapply(pbc$id, pick, code = code, w = windows[k, ])
  })
  do.call(rbind, lapply(seq_len(nrow(windows)), function(k) {
    data.frame(id = pbc$id, arm = pbc$arm, paramcd = code, visit = windows$visit[k],
               aval = wide[, k], base = wide[, 1],
               chg = if (k == 1) NA_real_ else wide[, k] - wide[, 1])
  }))
}))
observed <- long[!is.na(long$aval), ]
groups <- split(observed, list(observed$paramcd, observed$visit, observed$arm), drop = TRUE)
counts <- do.call(rbind, lapply(groups, function(d) {
  data.frame(paramcd = d$paramcd[1], visit = d$visit[1], arm = d$arm[1], n = nrow(d),
             n_base = sum(!is.na(d$base)), sum_aval = sum(d$aval),
             sum_base = sum(d$base, na.rm = TRUE), sum_chg = sum(d$chg, na.rm = TRUE))
}))
save(counts[order(counts$paramcd, match(counts$visit, windows$visit), counts$arm), ], "counts")

# ANCOVA of change at Year 1
ancova <- do.call(rbind, lapply(c("LOGBILI", "ALB", "PT"), function(code) {
  d <- long[long$paramcd == code & long$visit == "Year 1" & !is.na(long$chg), ]
  fit <- lm(chg ~ base + arm, d)
  means <- summary(emmeans(fit, "arm"), infer = c(TRUE, TRUE))
  pairs <- summary(contrast(emmeans(fit, "arm"), "trt.vs.ctrl"), infer = c(TRUE, TRUE))
  columns <- c("SE", "df", "lower.CL", "upper.CL", "t.ratio", "p.value")
  rbind(cbind(paramcd = code, row = as.character(means$arm), estimate = means$emmean, means[, columns]),
        cbind(paramcd = code, row = "difference", estimate = pairs$estimate, pairs[, columns]))
}))
names(ancova) <- c("paramcd", "row", "estimate", "std_error", "df", "conf_low", "conf_high", "statistic", "p_value")
save(ancova, "ancova")

# MMRM with an unstructured covariance: the same likelihood in nlme
d <- long[long$paramcd == "LOGBILI" & long$visit != "Baseline" & !is.na(long$chg), ]
d$visit <- factor(d$visit, windows$visit[-1])
d$time <- as.integer(d$visit)
d <- d[order(d$id, d$time), ]
fit <- gls(chg ~ base * visit + arm * visit, d, correlation = corSymm(form = ~ time | id),
           weights = varIdent(form = ~ 1 | visit), method = "REML",
           control = glsControl(tolerance = 1e-12, msTol = 1e-14, maxIter = 500, msMaxIter = 500))
beta <- coef(fit)
contrast_at <- function(v) {
  row <- setNames(numeric(length(beta)), names(beta))
  row["armD-penicillamine"] <- 1
  name <- grep(paste0("visit", v, ":arm"), names(beta), fixed = TRUE)
  row[name] <- 1
  c(estimate = sum(row * beta), std_error = sqrt(drop(t(row) %*% vcov(fit) %*% row)))
}
mmrm <- data.frame(visit = windows$visit[-1], t(sapply(windows$visit[-1], contrast_at)),
                   loglik = as.numeric(logLik(fit)), n = nrow(d))
save(mmrm, "mmrm")

# events: death or transplant
pbc$event <- as.integer(pbc$status > 0)
km <- survfit(Surv(time, event) ~ arm, pbc, conf.type = "log-log")
table <- summary(km, rmean = 3650)$table
median <- data.frame(arm = levels(pbc$arm), n = table[, "records"], events = table[, "events"],
                     median = table[, "median"], rmst = table[, "rmean"], rmst_se = table[, "se(rmean)"])
save(median, "km_median")
at <- summary(km, times = 365 * c(1, 2, 5, 8, 10))
save(data.frame(arm = sub("arm=", "", at$strata), time = at$time, n_risk = at$n.risk,
                estimate = at$surv, conf_low = at$lower, conf_high = at$upper), "km_at")
rank <- survdiff(Surv(time, event) ~ arm, pbc)
save(data.frame(statistic = rank$chisq, df = 1, p_value = pchisq(rank$chisq, 1, lower.tail = FALSE),
                observed_placebo = rank$obs[1], expected_placebo = rank$exp[1]), "logrank")
entry <- seq[seq$day == 0, ]
pbc <- merge(pbc, data.frame(id = entry$id, LOGBILBL = entry$logbili, ALBBL = entry$albumin,
                             PTBL = entry$protime), by = "id")
pbc$AGE <- pbc$age
pbc$EDEMA <- pbc$edema
cox <- function(formula, model) {
  fit <- coxph(formula, pbc, ties = "efron", control = coxph.control(eps = 1e-11, iter.max = 100))
  s <- summary(fit)$coefficients
  data.frame(model = model, term = sub("^arm.*", "arm", rownames(s)), estimate = s[, "coef"],
             std_error = s[, "se(coef)"], p_value = s[, "Pr(>|z|)"])
}
save(rbind(cox(Surv(time, event) ~ arm, "arm"),
           cox(Surv(time, event) ~ arm + AGE + LOGBILBL + ALBBL + PTBL + EDEMA, "adjusted")), "cox")
