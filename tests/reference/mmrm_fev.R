# Reference numbers of tests/endpoints/mmrm/test_reference_mmrm.py:
# R mmrm 0.3.18 with emmeans on fev_data and bcva_data (artificial data of the R package mmrm).
#   Rscript mmrm_fev.R [data folder] [output folder] [fits|inference|rest] [structures, by commas]
# writes mmrm_fits.csv, mmrm_inference.csv and mmrm_rest.csv.
# mmrm's optimizers stop at a relative change of the likelihood. Every fit is finished here by
# Newton steps on mmrm's own objective and refitted from there; the gradient left is recorded.
suppressMessages({library(mmrm); library(emmeans)})
args <- commandArgs(TRUE)
data_dir <- if (length(args) > 0) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- if (length(args) > 1) args[2] else "."
read <- function(path) read.csv(path, stringsAsFactors = TRUE)
fev <- read(file.path(data_dir, "tab_mmrm_artificial/derived_csv/fev_data.csv"))
bcva <- read(gzfile(file.path(data_dir, "tab_mmrm_artificial/derived_csv/bcva_data.csv.gz")))
bcva$USUBJID <- factor(bcva$USUBJID)

polished <- function(formula, data, ...) {
  fit <- mmrm(formula, data, ...)
  object <- fit$tmb_object
  theta <- fit$theta_est
  for (i in 1:8) theta <- theta - solve(object$he(theta), as.numeric(object$gr(theta)))
  # one evaluation of the optimizer at the optimum: a step size that cannot move it
  refit <- mmrm(formula, data, ..., start = theta, optimizer = "nlminb",
                optimizer_control = list(rel.tol = 1e-15, x.tol = 1e-15, abs.tol = 0))
  attr(refit, "decrement") <- {
    g <- as.numeric(object$gr(refit$theta_est))
    sum(g * solve(object$he(refit$theta_est), g))
  }
  refit
}

rows <- list()
add <- function(case, kind, name, estimate, se = NA, df = NA) {
  rows[[length(rows) + 1]] <<- data.frame(case, kind, name, estimate, se, df)
}
save_rows <- function(file) {
  all <- do.call(rbind, rows)
  for (k in c("estimate", "se", "df"))
    all[[k]] <- ifelse(is.na(all[[k]]), "", formatC(all[[k]], digits = 15, format = "g", width = 1))
  write.csv(all, file.path(out, file), row.names = FALSE)
  rows <<- list()
}
summaries <- function(case, fit, by_visit, weights = c("equal", "proportional")) {
  k <- as.data.frame(coef(summary(fit)))
  add(case, "coefficient", rownames(k), k[, 1], k[, 2], k[, 3])
  add(case, "loglik", "loglik", as.numeric(logLik(fit)))
  add(case, "decrement", "decrement", attr(fit, "decrement"))
  spec <- if (by_visit) ~ ARMCD | AVISIT else ~ ARMCD
  for (w in weights) {
    em <- emmeans(fit, spec, weights = w)
    s <- summary(em)
    visit <- if (by_visit) paste0(s$AVISIT, " ") else ""
    add(case, paste("lsmeans", w), paste0(visit, s$ARMCD), s$emmean, s$SE, s$df)
    d <- summary(contrast(em, "revpairwise"))
    visit <- if (by_visit) paste0(d$AVISIT, " ") else ""
    add(case, paste("contrast", w), paste0(visit, d$contrast), d$estimate, d$SE, d$df)
  }
  V <- fit$cov
  if (!is.list(V)) V <- list(V)
  for (g in seq_along(V)) {
    if (ncol(V[[g]]) == 4) add(case, "covariance", sprintf("%d %d,%d", g, row(V[[g]]), col(V[[g]])),
                               as.numeric(V[[g]]))
  }
}

all_structures <- c("us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "ad", "adh", "sp_exp")
structures <- if (length(args) > 3) strsplit(args[4], ",")[[1]] else all_structures
term <- function(s, grouped) {
  visit <- if (s == "sp_exp") "VISITN, VISITN2" else "AVISIT"
  sprintf("%s(%s | %sUSUBJID)", s, visit, if (grouped) "ARMCD / " else "")
}
fixed <- c(plain = "FEV1 ~ RACE + SEX + ARMCD * AVISIT", base = "FEV1 ~ FEV1_BL * AVISIT + ARMCD * AVISIT",
           grouped = "FEV1 ~ RACE + ARMCD * AVISIT", weighted = "FEV1 ~ SEX + ARMCD * AVISIT")
parts <- if (length(args) > 2) args[3] else "fits inference rest"
if (grepl("fits", parts)) for (s in structures) for (reml in c(TRUE, FALSE)) for (v in names(fixed)) {
  case <- paste(s, if (reml) "reml" else "ml", v, sep = "-")
  f <- as.formula(paste(fixed[[v]], "+", term(s, v == "grouped")))
  w <- if (v == "weighted") fev$WEIGHT else rep(1, nrow(fev))
  fit <- tryCatch(polished(f, fev, reml = reml, weights = w), error = function(e) {message(case, ": ", conditionMessage(e)); NULL})
  if (!is.null(fit)) summaries(case, fit, TRUE, if (reml) c("equal", "proportional") else "equal")
  message(case)
}

if (length(rows)) save_rows("mmrm_fits.csv")

# degrees of freedom and empirical covariances
if (grepl("inference", parts)) for (s in structures) for (m in c("Kenward-Roger-Linear", "Empirical", "Empirical-Jackknife", "Empirical-Bias-Reduced")) {
  case <- paste(s, "reml", m, sep = "-")
  f <- as.formula(paste("FEV1 ~ RACE + ARMCD * AVISIT +", term(s, FALSE)))
  kr <- m == "Kenward-Roger-Linear"
  fit <- polished(f, fev, vcov = m, method = if (kr) "Kenward-Roger" else "Satterthwaite")
  summaries(case, fit, TRUE, if (kr) "equal" else character())
  L <- diag(length(coef(fit)))[7:9, , drop = FALSE]
  md <- df_md(fit, L)
  add(case, "joint", "three rows", md$f_stat, md$num_df, md$denom_df)
  message(case)
}
if (length(rows)) save_rows("mmrm_inference.csv")
if (!grepl("rest", parts)) quit()

for (s in c("us", "ar1h")) for (m in c("Satterthwaite", "Between-Within", "Residual")) {
  case <- paste(s, "reml", m, sep = "-")
  fit <- polished(as.formula(paste("FEV1 ~ RACE + FEV1_BL + ARMCD * AVISIT +", term(s, FALSE))), fev, method = m)
  summaries(case, fit, TRUE, "equal")
  L <- diag(length(coef(fit)))[8:10, , drop = FALSE]
  md <- df_md(fit, L)
  add(case, "joint", "three rows", md$f_stat, md$num_df, md$denom_df)
  if (m == "Satterthwaite") for (type in c("II", "III")) {
    # car before 3.1.2 does not find the method by itself
    a <- as.data.frame(mmrm:::Anova.mmrm(fit, type))
    add(case, paste("anova", type), rownames(a), a[, "F"], a[, "Df"], a[, "Res.Df"])
  }
  message(case)
}
for (s in c("us", "ar1h", "sp_exp")) {
  case <- paste(s, "reml", "residuals", sep = "-")
  fit <- polished(as.formula(paste("FEV1 ~ RACE + ARMCD * AVISIT +", term(s, FALSE))), fev, weights = fev$WEIGHT)
  for (k in c("response", "pearson", "normalized")) add(case, k, seq_len(40), residuals(fit, type = k)[1:40])
  add(case, "criteria", c("aic", "bic"), c(AIC(fit), BIC(fit)))
  p <- predict(fit, fev[1:40, ], conditional = TRUE)
  add(case, "conditional", 1:40, as.numeric(p))
  message(case)
}
# rank deficient: two covariates that say the same
fev$SEX2 <- fev$SEX; fev$FEV1_BL2 <- 2 * fev$FEV1_BL
fit <- polished(FEV1 ~ FEV1_BL + SEX + SEX2 + FEV1_BL2 + ARMCD * AVISIT + toeph(AVISIT | USUBJID), fev)
summaries("toeph-reml-deficient", fit, TRUE, "equal")
fit <- polished(BCVA_CHG ~ BCVA_BL + RACE + ARMCD * AVISIT + us(AVISIT | USUBJID), bcva)
summaries("us-reml-bcva", fit, TRUE, character())
save_rows("mmrm_rest.csv")
